"""What would make a simulation lie is refused, with a sentence that says what to do."""

import re

import cases
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import exchange, schedule, topology
from jdl.checks import InputError

N = cases.N
# Everybody listens to the next one and to node 0: rows sum to one, columns do not.
ROW = np.zeros((N, N)) + 0.5 * np.roll(np.eye(N), 1, axis=1)
ROW[:, 0] += 0.5
ROWS, COLUMNS = topology.from_weights(ROW, stochastic="row"), topology.from_weights(ROW.T, stochastic="column")
PEERS = [name for name in cases.ALGORITHMS if not cases.has_server(name)]
SERVERS = [name for name in cases.ALGORITHMS if cases.has_server(name)]


def needing(need):
    """Methods on trees are refused on these graphs for another reason."""
    kinds = {name: cases.kind_of(name).needs for name in cases.ALGORITHMS}
    return [name for name, needs in kinds.items() if need in needs and "tree" not in needs]


def refused(words, *args, **kwargs):
    with pytest.raises(InputError) as error:
        jdl.simulation(*args, **kwargs)
    sentence = str(error.value)
    assert re.match(r"got .+[;,] .+", sentence), sentence
    for word in words:
        assert word in sentence, sentence
    return sentence


@pytest.mark.parametrize("name", needing("doubly_stochastic"))
@pytest.mark.parametrize("given", [ROWS, COLUMNS], ids=["row", "column"])
def test_doubly_stochastic_is_held(name, given):
    refused([name, "'doubly_stochastic'", "Metropolis"], cases.problem(), cases.kind_of(name)(), given)


@pytest.mark.parametrize("name", needing("row_stochastic"))
def test_row_stochastic_is_held(name):
    refused([name, "'row_stochastic'", "push_sum"], cases.problem(), cases.kind_of(name)(), COLUMNS)
    jdl.simulation(cases.problem(), cases.kind_of(name)(), ROWS)


@pytest.mark.parametrize("name", needing("column_stochastic"))
def test_column_stochastic_is_held(name):
    refused([name, "'column_stochastic'", "columns"], cases.problem(), cases.kind_of(name)(), ROWS)
    jdl.simulation(cases.problem(), cases.kind_of(name)(), COLUMNS)


@pytest.mark.parametrize("name", needing("symmetric"))
def test_symmetric_is_held(name):
    refused([name, "'symmetric'", "undirected"], cases.problem(), cases.kind_of(name)(), topology.exponential(N))


@pytest.mark.parametrize("name", needing("doubly_stochastic"))
def test_directed_doubly_stochastic_links_that_fail_are_not_doubly_stochastic(name):
    refused(
        [name, "stochastic" if "symmetric" not in cases.kind_of(name).needs else "'"],
        cases.problem(),
        cases.kind_of(name)(),
        topology.exponential(N),
        [exchange.lossy(0.1)],
    )


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_method_on_a_graph(name):
    refused([name, "'server'", "sampling"], cases.problem(), cases.kind_of(name)(), topology.ring(N))


@pytest.mark.parametrize("name", PEERS)
def test_a_gossip_method_with_a_server(name):
    """The remedy is a graph, whatever else the method needs of it."""
    sentence = refused([name, "graph"], cases.problem(), cases.kind_of(name)(), schedule.sampling(N, 4))
    assert "'peers'" in sentence, sentence


@pytest.mark.parametrize("stack", [["choco", "lossy"], ["lossy", "choco"], ["choco", "sign_flip", "lossy"]])
def test_memory_needs_reliable_links_in_every_nesting(stack):
    network = [getattr(exchange, name)() for name in stack]
    words = ["'reliable'", "which the network breaks", "top_k"]
    refused(words, cases.problem(), jdl.algorithms.DPSGD(), topology.ring(N), network)


def test_median_and_push_sum():
    words = ["PushSum", "'column_stochastic'", "which the network breaks"]
    refused(words, cases.problem(), jdl.algorithms.PushSum(), topology.ring(N), [exchange.coordinate_median()])


def test_choco_with_a_server():
    refused(["'peers'"], cases.problem(), jdl.algorithms.FedAvg(), None, [exchange.choco()])


def test_a_rule_that_replaces_the_mean_goes_last():
    network = [exchange.coordinate_median(), exchange.lossy()]
    refused(["CoordinateMedian", "put it last"], cases.problem(), jdl.algorithms.DPSGD(), topology.ring(N), network)


@pytest.mark.parametrize("name", [name for name in PEERS if cases.mixes(name)])
def test_a_method_that_mixes_wants_a_topology(name):
    refused([name, "no topology", "ring"], cases.problem(), cases.kind_of(name)())


def test_sizes_must_agree():
    refused(["9", "8"], cases.problem(), jdl.algorithms.DPSGD(), topology.ring(9))


@pytest.mark.parametrize("given", ["ring", 7, {"a": 1}])
def test_a_topology_of_the_wrong_type(given):
    refused(["need a Topology"], cases.problem(), jdl.algorithms.DPSGD(), given)


@pytest.mark.parametrize("name", cases.ALGORITHMS)
@pytest.mark.parametrize("bad", [-0.1, float("nan"), "fast"])
def test_a_rate_that_is_no_rate(name, bad):
    talk = None if cases.has_server(name) else topology.ring(N)
    refused([f"{name}.lr"], cases.problem(), cases.kind_of(name)(lr=bad), talk)


@pytest.mark.parametrize(
    "make", [lambda: exchange.lossy(1.5), lambda: exchange.top_k(-0.1), lambda: exchange.choco(2.0)]
)
def test_exchanges_out_of_bounds(make):
    refused(["between 0"], cases.problem(), jdl.algorithms.DPSGD(), topology.ring(N), [make()])


def test_bounds_hold_inside_a_stack():
    network = [exchange.sign_flip(), exchange.lossy(-1.0), exchange.coordinate_median()]
    refused(["Lossy.probability"], cases.problem(), jdl.algorithms.DPSGD(), topology.ring(N), network)


@pytest.mark.parametrize("probability", [1.5, -0.5, float("nan")])
def test_schedules_out_of_bounds(probability):
    talk = schedule.sleeping(schedule.fixed(topology.ring(N)), probability)
    refused(["Sleeping.probability"], cases.problem(), jdl.algorithms.DPSGD(), talk)


def test_problems_out_of_bounds():
    data = cases.problem().replace(noise=jnp.float32(-1))
    refused(["Quadratic.noise"], data, jdl.algorithms.DPSGD(), topology.ring(N))


@pytest.mark.parametrize("steps", [0, 1.5, True])
def test_local_steps_are_a_count(steps):
    algorithm = jdl.algorithms.DPSGD(local_steps=steps)
    refused(["DPSGD.local_steps", "whole"] if steps else ["local_steps"], cases.problem(), algorithm, topology.ring(N))


def test_an_unknown_optimizer_names_the_near_ones():
    algorithm = jdl.algorithms.DPSGD(optimizer="momentun")
    refused(["momentun", "did you mean momentum"], cases.problem(), algorithm, topology.ring(N))


@pytest.mark.parametrize("network", [exchange.lossy(), ["lossy"], [exchange.lossy]], ids=["bare", "text", "function"])
def test_a_network_that_is_no_list_of_exchanges(network):
    refused(["network"], cases.problem(), jdl.algorithms.DPSGD(), topology.ring(N), network)


def test_a_class_in_place_of_an_algorithm():
    refused(["DPSGD"], cases.problem(), jdl.algorithms.DPSGD, topology.ring(N))


@pytest.mark.parametrize("mapping", ["pmap", 0, 2.5, True])
def test_mappings(mapping):
    refused(["mapping"], cases.problem(), jdl.algorithms.DPSGD(), topology.ring(N), mapping=mapping)


@pytest.mark.parametrize("name", [PEERS[0], *SERVERS])
@pytest.mark.parametrize("shape", [(), (N + 1, cases.DIM), (cases.DIM + 1,)])
def test_a_start_of_another_shape(name, shape):
    with pytest.raises(InputError, match="params"):
        jdl.sim.init(cases.build(name), np.zeros(shape, np.float32))


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_has_one_start(name):
    with pytest.raises(InputError, match="params"):
        jdl.sim.init(cases.build(name), np.zeros((N, cases.DIM), np.float32))
