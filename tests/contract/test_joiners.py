"""A node joins with its neighbours' mean, another leaves: by hand on two triangles, joined by a path of two nodes."""

import jax
import jax.numpy as jnp
import numpy as np
import ways
from programs.joiners import membership

import jdl
from jdl.schedule import Fixed

N, DIM = 8, 3
JOINER, JOINS = 3, 2
LEAVER, LEAVES = 6, 3


def build(seed=0, lr=0.1, **how):
    problem = jdl.problems.quadratic(nodes=N, dim=DIM, noise=0.1)
    talk = membership(Fixed.of(jdl.topology.barbell(N, path=2)), {JOINER: JOINS}, {LEAVER: LEAVES})
    return jdl.simulation(problem, jdl.algorithms.DPSGD(lr=lr), talk, seed=seed, **how)


def gossip():
    """Gossip alone, from different models: the state before each of the rounds 0 to 5, and the models as sent in it."""
    simulation = build(lr=0.0)
    states = [ways.init(simulation, jax.random.normal(jax.random.key(1), (N, DIM)))]
    for t in range(1, 6):
        states.append(ways.advance(simulation, states[-1], jnp.int32(t)))
    sent = jax.jit(lambda state: jdl.sim.wires(simulation, state)[0].own)
    return states, [np.asarray(sent(state)) for state in states]


def test_a_joiner_begins_with_its_neighbours_mean_and_the_mean_of_those_present_is_kept():
    states, sent = gossip()
    models = [np.asarray(state.nodes.x) for state in states]
    # Metropolis weights of the joiner's two links: node 2 has three links, and node 4 has two.
    share = np.array([1 / 4, 1 / 3]) / (1 / 4 + 1 / 3)
    np.testing.assert_allclose(sent[JOINS][JOINER], share @ models[JOINS][[2, 4]], rtol=1e-6)
    others = np.arange(N) != JOINER
    assert np.array_equal(sent[JOINS][others], models[JOINS][others])
    for t in range(5):
        there = np.array([not (i == JOINER and t < JOINS) and not (i == LEAVER and t >= LEAVES) for i in range(N)])
        np.testing.assert_allclose(models[t + 1][there].mean(axis=0), sent[t][there].mean(axis=0), atol=2e-7)
        assert np.array_equal(models[t + 1][~there], models[t][~there])
        assert np.abs(models[t + 1][there] - sent[t][there]).max() > 1e-3


def test_traffic_counts_one_model_on_each_link_into_the_joiner():
    states, _ = gossip()
    copies = [np.diff([states[t].traffic.messages[0], states[t + 1].traffic.messages[0]], axis=0)[0] for t in range(4)]
    # Links of the nodes when all are there: 2, 2, 3, 2, 2, 3, 2, 2.
    np.testing.assert_array_equal(copies[0], [2, 2, 2, 0, 1, 3, 2, 2])  # nobody talks to the node to come
    np.testing.assert_array_equal(copies[JOINS], [2, 2, 4, 2, 3, 3, 2, 2])
    np.testing.assert_array_equal(copies[LEAVES], [2, 2, 3, 2, 2, 2, 0, 1])
    np.testing.assert_array_equal(states[5].traffic.bits[0], 32 * DIM * states[5].traffic.messages[0])


def test_a_joiner_leaves_nothing_of_a_model_that_is_not_finite():
    states, _ = gossip()
    before, after = states[JOINS], states[JOINS + 1]
    broken = before.replace(nodes=before.nodes._replace(x=before.nodes.x.at[JOINER].set(jnp.nan)))
    again = ways.advance(build(lr=0.0), broken, jnp.int32(JOINS + 1))
    np.testing.assert_array_equal(again.nodes.x, after.nodes.x)


@ways.of("joiners")
def test_in_all_ways(names):
    ways.check(build, names)
