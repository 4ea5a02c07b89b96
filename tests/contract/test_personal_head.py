"""A private head: nothing private is FedAvg, a head at home helps own accuracy, and the base alone is sent."""

import jax
import numpy as np
import pytest
import ways
from programs.personal_head import PersonalHead
from programs.personal_head_of_peers import PersonalHeadOfPeers

import jdl

N, LR, BASE_BITS = 8, 0.3, (64 * 8 + 8) * 32
SKEWED = jdl.data.partition.Dirichlet(0.1)  # few labels at each node
DATA = jdl.problems.digits(nodes=N, hidden=8, batch_size=16, partition=SKEWED)
HEAD = ("Dense_1",)


def with_server(algorithm, seed=0, **how):
    return jdl.simulation(DATA, algorithm, jdl.schedule.Sampling(N, participants=4), own=True, seed=seed, **how)


def of_peers(algorithm, network=(), seed=0, **how):
    return jdl.simulation(DATA, algorithm, jdl.topology.ring(N), network, own=True, seed=seed, **how)


def build(seed=0, private=HEAD, **how):
    return with_server(PersonalHead(lr=LR, local_steps=2, private=private), seed, **how)


def own_accuracy(simulation, rounds):
    return ways.evaluate(simulation, ways.state_after(simulation, rounds))["own_accuracy"]


def test_nothing_private_is_fedavg_and_a_head_at_home_knows_the_labels_of_its_node():
    fedavg = with_server(jdl.algorithms.FedAvg(lr=LR, local_steps=2))
    shared, plain = ways.state_after(build(private=())), ways.state_after(fedavg)
    assert jax.tree.all(jax.tree.map(np.array_equal, shared.server, plain.server))
    assert own_accuracy(build(), 30) > own_accuracy(fedavg, 30) + 0.1
    bits = ways.state_after(build()).traffic.bits[0]
    assert bits[N] == np.sum(bits[:N]) == ways.ROUNDS * 4 * BASE_BITS


@pytest.mark.slow
def test_among_peers_it_is_a_module_of_ones_own():
    """The same by an exchange that jdl has: no neighbour holds the module of a node's head."""
    gossip, head = jdl.algorithms.DPSGD(lr=LR), PersonalHeadOfPeers(lr=LR, private=HEAD)
    module = jdl.exchange.PerModule.of({HEAD: [-1] * N})
    personal, modules = ways.state_after(of_peers(head)), ways.state_after(of_peers(gossip, [module]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), personal.nodes, modules.nodes.x)
    assert np.all(personal.traffic.bits[0] == ways.ROUNDS * 2 * BASE_BITS)
    assert own_accuracy(of_peers(head), 10) > own_accuracy(of_peers(gossip), 10) + 0.1


@ways.of("personal_head")
def test_in_all_ways(names):
    ways.check(build, names)
