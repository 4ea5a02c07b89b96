"""What would make a simulation lie is refused, with a sentence that says what to do."""

import functools
import re

import cases
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import exchange, schedule, topology
from jdl.checks import InputError
from jdl.command import catalogue

N = cases.N
# Everybody listens to the next one and to node 0: rows sum to one, columns do not.
ROW = np.zeros((N, N)) + 0.5 * np.roll(np.eye(N), 1, axis=1)
ROW[:, 0] += 0.5
ROWS, COLUMNS = topology.from_weights(ROW, stochastic="row"), topology.from_weights(ROW.T, stochastic="column")
PEERS, SERVERS = cases.PEERS, cases.SERVERS


def needing(need):
    """Methods on trees are refused on these graphs for another reason."""
    kinds = {name: cases.kind_of(name)().needs for name in cases.ALGORITHMS}
    return [name for name, needs in kinds.items() if need in needs and "tree" not in needs]


def fault(words, *args, **kwargs) -> str:
    """What is wrong with the refusal of a simulation of these parts: "" where the sentence has its form and words."""
    try:
        jdl.simulation(*args, **kwargs)
    except InputError as error:
        sentence = str(error)
    else:
        return "not refused"
    lacks = [word for word in words if word not in sentence]
    formed = re.match(r"got .+[;,] .+", sentence)
    return f"lacks {lacks}: {sentence}" if lacks or not formed else ""


def refused(words, *args, **kwargs):
    wrong = fault(words, *args, **kwargs)
    assert not wrong, wrong


def all_refused(names, words, parts):
    """For each method, `words(name)` stand in the refusal of a simulation of the problem and `parts(name)`."""
    assert names
    wrong = [(name, fault([name, *words(name)], cases.problem(), *parts(name))) for name in names]
    assert not any(why for _, why in wrong), "\n".join(f"{name}: {why}" for name, why in wrong if why)


@pytest.mark.parametrize("given", [ROWS, COLUMNS], ids=["row", "column"])
def test_doubly_stochastic_is_held(given):
    words = ["'doubly_stochastic'", "Metropolis"]
    all_refused(needing("doubly_stochastic"), lambda name: words, lambda name: (cases.kind_of(name)(), given))


def test_row_stochastic_is_held():
    names, words = needing("row_stochastic"), ["'row_stochastic'", "push_sum"]
    all_refused(names, lambda name: words, lambda name: (cases.kind_of(name)(), COLUMNS))
    for name in names:
        jdl.simulation(cases.problem(), cases.kind_of(name)(), ROWS)


def test_column_stochastic_is_held():
    names, words = needing("column_stochastic"), ["'column_stochastic'", "columns"]
    all_refused(names, lambda name: words, lambda name: (cases.kind_of(name)(), ROWS))
    for name in names:
        jdl.simulation(cases.problem(), cases.kind_of(name)(), COLUMNS)


def test_symmetric_is_held():
    words, directed = ["'symmetric'", "undirected"], topology.exponential(N)
    all_refused(needing("symmetric"), lambda name: words, lambda name: (cases.kind_of(name)(), directed))


def test_directed_doubly_stochastic_links_that_fail_are_not_doubly_stochastic():
    all_refused(
        needing("doubly_stochastic"),
        lambda name: ["stochastic" if "symmetric" not in cases.kind_of(name)().needs else "'"],
        lambda name: (cases.kind_of(name)(), topology.exponential(N), [exchange.Lossy(0.1)]),
    )


def test_a_server_method_on_a_graph():
    words = ["'server'", "Sampling"]
    all_refused(SERVERS, lambda name: words, lambda name: (cases.kind_of(name)(), topology.ring(N)))


def test_a_gossip_method_with_a_server():
    """The remedy is a graph, whatever else the method needs of it."""
    words, clients = ["graph", "'peers'"], schedule.Sampling(N, 4)
    all_refused(PEERS, lambda name: words, lambda name: (cases.kind_of(name)(), clients))


@pytest.mark.parametrize("stack", [["choco", "lossy"], ["lossy", "choco"], ["choco", "sign_flip", "lossy"]])
def test_memory_needs_reliable_links_in_every_nesting(stack):
    network = [catalogue.maker("exchanges", name)() for name in stack]
    words = ["'reliable'", "which the network breaks", "compress without memory"]
    refused(words, cases.problem(), jdl.algorithms.DPSGD(), topology.ring(N), network)


def test_median_and_push_sum():
    words = ["PushSum", "'column_stochastic'", "which the network breaks"]
    refused(words, cases.problem(), jdl.algorithms.PushSum(), topology.ring(N), [exchange.CoordinateMedian()])


def test_choco_with_a_server():
    refused(["'peers'"], cases.problem(), jdl.algorithms.FedAvg(), None, [exchange.Choco()])


def test_a_rule_that_replaces_the_mean_goes_last():
    network = [exchange.CoordinateMedian(), exchange.Lossy()]
    refused(["CoordinateMedian", "put it last"], cases.problem(), jdl.algorithms.DPSGD(), topology.ring(N), network)


def test_a_method_that_mixes_wants_a_topology():
    mixing, words = [name for name in PEERS if cases.mixes(name)], ["no topology", "ring"]
    all_refused(mixing, lambda name: words, lambda name: (cases.kind_of(name)(),))


def test_sizes_must_agree():
    refused(["9", "8"], cases.problem(), jdl.algorithms.DPSGD(), topology.ring(9))


@pytest.mark.parametrize("given", ["ring", 7, {"a": 1}])
def test_a_topology_of_the_wrong_type(given):
    refused(["need a Topology"], cases.problem(), jdl.algorithms.DPSGD(), given)


@pytest.mark.parametrize("bad", [-0.1, float("nan"), "fast"])
def test_a_rate_that_is_no_rate(bad):
    all_refused(
        cases.ALGORITHMS,
        lambda name: [f"{name}.lr"],
        lambda name: (cases.kind_of(name)(lr=bad), None if cases.has_server(name) else topology.ring(N)),
    )


@pytest.mark.parametrize(
    "make",
    [lambda: exchange.Lossy(1.5), lambda: catalogue.maker("exchanges", "top_k")(-0.1), lambda: exchange.Choco(2.0)],
)
def test_exchanges_out_of_bounds(make):
    refused(["between 0"], cases.problem(), jdl.algorithms.DPSGD(), topology.ring(N), [make()])


def test_bounds_hold_inside_a_stack():
    network = [exchange.SignFlip(), exchange.Lossy(-1.0), exchange.CoordinateMedian()]
    refused(["Lossy.probability"], cases.problem(), jdl.algorithms.DPSGD(), topology.ring(N), network)


@pytest.mark.parametrize("probability", [1.5, -0.5, float("nan")])
def test_schedules_out_of_bounds(probability):
    talk = schedule.Sleeping(schedule.Fixed.of(topology.ring(N)), probability)
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


@pytest.mark.parametrize(
    ("network", "word"),
    [(exchange.Lossy(), "network="), (["lossy"], "need an exchange"), ([exchange.Lossy], "need an exchange")],
    ids=["bare", "text", "class"],
)
def test_a_network_that_is_no_list_of_exchanges(network, word):
    refused([word], cases.problem(), jdl.algorithms.DPSGD(), topology.ring(N), network)


def test_a_class_in_place_of_an_algorithm():
    refused(["DPSGD"], cases.problem(), jdl.algorithms.DPSGD, topology.ring(N))


@pytest.mark.parametrize("mapping", ["pmap", 0, 2.5, True])
def test_mappings(mapping):
    refused(["mapping"], cases.problem(), jdl.algorithms.DPSGD(), topology.ring(N), mapping=mapping)


@pytest.mark.parametrize("shape", [(), (N + 1, cases.DIM), (cases.DIM + 1,)])
def test_a_start_of_another_shape(shape):
    starts_refused([PEERS[0], *SERVERS], shape)


def test_a_server_has_one_start():
    starts_refused(SERVERS, (N, cases.DIM))


built = functools.cache(cases.build)


def starts_refused(names, shape):
    wrong = []
    for name in names:
        try:
            jdl.sim.init(built(name), np.zeros(shape, np.float32))
        except InputError as error:
            if "params" in str(error):
                continue
            wrong.append(f"{name}: {error}")
        else:
            wrong.append(f"{name}: not refused")
    assert not wrong, "\n".join(wrong)
