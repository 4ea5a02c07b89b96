"""Models that travel: walks, teleportation, and what a hand-over does to W."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
import schedule_cases as cases
from plan_reading import matrix

from jdl.checks import InputError
from jdl.schedule.handoff import handoff
from jdl.schedule.random_walk import RandomWalk
from jdl.schedule.teleportation import Teleportation
from jdl.topology import exponential, from_weights, random_regular, ring

KEY, COUNT = jax.random.key(0), 4000


def test_a_hand_over_is_a_matrix_of_sums():
    # 0 keeps a half of its own and takes a half of 3; 2 takes 0's model; 1 sleeps; 3 keeps what it sent.
    plan = handoff(4, jnp.array([0, 3, 0]), jnp.array([0, 0, 2]), jnp.array([0.5, 0.5, 1.0]))
    expected = [[0.5, 0, 0, 0.5], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(matrix(plan), expected)
    np.testing.assert_array_equal(plan.active, [True, False, True, True])
    np.testing.assert_array_equal(plan.links.used, [False, True, True])


def test_a_walk_takes_uniform_steps_along_edges():
    schedule = RandomWalk.for_nodes(8, degree=3)
    made, W, held = cases.rounds(schedule, COUNT, KEY, 2)
    neighbours = random_regular(8, 3).weights.toarray() - np.eye(8) / 4 > 0
    here, there = held[:, 0, 0], held[:, 1, 0]
    assert neighbours[here, there].all()
    assert cases.often(np.bincount(here, minlength=8) / COUNT, 1 / 8, COUNT)
    share = np.zeros((8, 8))
    np.add.at(share, (here, there), 1 / COUNT)
    assert cases.often(share, neighbours / 24, COUNT)
    # The receiver's row is the sender's model, and nobody else's changes.
    expected = np.broadcast_to(np.eye(8), (COUNT, 8, 8)).copy()
    expected[np.arange(COUNT), there] = np.eye(8)[here]
    np.testing.assert_array_equal(W[:, 0], expected)
    np.testing.assert_array_equal(made.active[:, 0].sum(axis=1), 2)
    assert made.stochastic == "row" and np.all(made.links.used)


def test_a_walk_on_any_graph_visits_all_nodes_equally_often():
    # On a star every leaf goes to the centre with probability 1/5 only, as often as the centre to that leaf.
    schedule = RandomWalk.of(cases.STAR)
    _, _, held = cases.rounds(schedule, COUNT, KEY, 3)
    degrees = np.array([5, 1, 1, 1, 1, 1])
    graph = nx.to_numpy_array(nx.star_graph(5))
    step = graph / degrees[:, None] * np.minimum(1, degrees[:, None] / degrees[None, :])
    step += np.diag(1 - step.sum(axis=1))
    np.testing.assert_allclose(step, step.T)
    for now in (0, 1):
        share = np.zeros((6, 6))
        np.add.at(share, (held[:, now, 0], held[:, now + 1, 0]), 1 / COUNT)
        assert cases.often(share, step / 6, COUNT)


def test_tokens_that_meet_become_their_mean():
    schedule = RandomWalk.of(cases.STAR, tokens=2)
    _, W, held = cases.rounds(schedule, COUNT, KEY, 2)
    before, after = held[:, 0], held[:, 1]
    assert np.all(before[:, 0] != before[:, 1])
    met = after[:, 0] == after[:, 1]
    assert met.any() and not met.all()
    for world in np.flatnonzero(met)[:20]:
        np.testing.assert_array_equal(W[world, 0, after[world, 0]], np.eye(6)[before[world]].mean(axis=0))
    for world in np.flatnonzero(~met)[:20]:
        np.testing.assert_array_equal(W[world, 0, after[world]], np.eye(6)[before[world]])


@pytest.mark.parametrize(
    "small", [exponential(4), ring(5), from_weights([[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])]
)
def test_teleportation_mixes_over_the_small_graph_and_hands_over(x64, small):
    schedule, n = Teleportation.of(small, 9), 9
    k, w = small.n, small.weights.toarray()
    made, W, held = cases.rounds(schedule, 200, KEY, 2)
    for world in range(200):
        old, new = held[world]
        np.testing.assert_allclose(W[world, 0][np.ix_(new, old)], w, atol=1e-15)
        rest = np.setdiff1d(np.arange(n), new)
        np.testing.assert_array_equal(W[world, 0][rest], np.eye(n)[rest])
        np.testing.assert_array_equal(np.flatnonzero(made.active[world, 0]), np.union1d(old, new))
    assert np.all(np.diff(np.sort(held, axis=2), axis=2) > 0) and held.shape == (200, 2, k)


def test_with_all_nodes_active_teleportation_is_gossip_with_new_labels():
    made, W, held = cases.rounds(Teleportation.for_nodes(8, active=8), 100, KEY, 2)
    w = exponential(8).weights.toarray()
    for world in range(100):
        old, new = np.eye(8)[held[world, 0]], np.eye(8)[held[world, 1]]
        np.testing.assert_allclose(W[world, 0], new.T @ w @ old, atol=1e-7)
    np.testing.assert_allclose(W.sum(axis=2), 1, atol=1e-6)
    assert made.active.all()


def test_every_node_is_active_equally_often_and_in_every_place():
    _, _, held = cases.rounds(Teleportation.for_nodes(6, active=2), COUNT, KEY, 2)
    share = (held[:, 1, :, None] == np.arange(6)).mean(axis=0)
    assert cases.often(share, 1 / 6, COUNT)
    again = np.mean([(np.isin(new, old)).sum() for old, new in held])
    assert abs(again - 2 * 2 / 6) < 0.05  # the sets of two rounds are independent


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: RandomWalk.for_nodes(6, tokens=0), "got tokens=0, need a whole number of at least 1"),
        (
            lambda: RandomWalk.for_nodes(6, tokens=7),
            "got tokens=7 with n=6, each needs a node to start from; try tokens=6",
        ),
        (lambda: RandomWalk.of(exponential(8)), "whose W is not symmetric, a walk needs links both ways"),
        (
            lambda: Teleportation.for_nodes(6),
            "got active=8 with n=6, no more nodes than there are can be active; try active=6",
        ),
        (lambda: Teleportation.for_nodes(6, active=0), "got active=0, need a whole number of at least 1"),
        (
            lambda: Teleportation.of(from_weights([[0.5, 0.25], [0.5, 0.75]], stochastic="column"), 6),
            "whose rows do not sum to one",
        ),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)
