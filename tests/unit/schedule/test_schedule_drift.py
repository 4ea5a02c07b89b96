"""Networks that remember: links that fail in bursts, nodes that change places, nodes that move."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import schedule_cases as cases

from jdl import checks
from jdl.checks import InputError
from jdl.schedule.gilbert_elliott import GilbertElliott
from jdl.schedule.mobility import Mobility, Place, reach
from jdl.schedule.peer_swap import PeerSwap
from jdl.topology import complete, exponential, from_weights, random_regular, ring

KEY, COUNT = jax.random.key(0), 4000


@pytest.mark.parametrize(("fail", "recover"), [(0.1, 0.3), (0.9, 0.5), (0.0, 0.2), (1.0, 1.0), (0.0, 0.0), (0.3, 0.0)])
def test_links_are_stationary_chains(fail, recover):
    """All of them in one program: the probabilities are leaves."""
    _, _, on = cases.rounds(GilbertElliott.of(ring(5), fail=fail, recover=recover), COUNT, KEY, 3)
    share = 1.0 if fail == recover == 0 else recover / (fail + recover)
    assert on.shape == (COUNT, 3, 5)
    assert cases.often(on.mean(axis=0), share, COUNT)
    for now in (0, 1):
        was, is_ = on[:, now], on[:, now + 1]
        assert cases.often((was & ~is_).mean(axis=0), share * fail, COUNT)
        assert cases.often((~was & is_).mean(axis=0), (1 - share) * recover, COUNT)
    both = (on[:, 0, 0] & on[:, 0, 1]).mean()
    assert cases.often(both, share**2, COUNT)


@pytest.mark.parametrize("topology", [ring(6), random_regular(7, 4), complete(5), cases.STAR, complete(2)])
def test_a_pair_is_off_both_ways_and_both_ends_keep_its_weight(topology):
    made, W, on = cases.rounds(GilbertElliott.of(topology, fail=0.5, recover=0.5), 200, KEY)
    assert on.shape[-1] == topology.edge_count
    full = topology.weights.toarray()
    off = W[:, 0] * (1 - np.eye(topology.n))
    np.testing.assert_array_equal(off, off.swapaxes(1, 2))
    np.testing.assert_allclose(off, full * (off > 0), rtol=1e-6)
    pairs = {tuple(sorted(edge)): which for which, edge in enumerate(topology.edges.tolist())}
    for (i, j), which in pairs.items():
        np.testing.assert_array_equal(off[:, i, j] > 0, on[:, 0, which])
    np.testing.assert_allclose(W.sum(axis=3), 1, atol=1e-6)
    assert made.stochastic == "doubly" and made.symmetric
    np.testing.assert_array_equal(made.links.used, made.links.weights > 0)


def test_directed_links_fail_one_way_and_say_what_is_left():
    made, W, on = cases.rounds(GilbertElliott.of(exponential(8), fail=0.5, recover=0.5), 200, KEY)
    assert on.shape[-1] == 24 and made.stochastic == "row" and not made.symmetric
    assert np.ptp(W.sum(axis=2)) > 0.1
    column = from_weights([[0.5, 0.25, 0.2], [0.5, 0.5, 0.2], [0, 0.25, 0.6]], stochastic="column")
    made, W, _ = cases.rounds(GilbertElliott.of(column, fail=0.5, recover=0.5), 200, KEY)
    assert made.stochastic == "column"
    np.testing.assert_allclose(W.sum(axis=2), 1, atol=1e-6)
    assert np.ptp(W.sum(axis=3)) > 0.1


def test_a_sweep_over_failures_is_a_vmap():
    schedule, key = GilbertElliott.for_nodes(6, degree=2), jax.random.key(2)

    def share(fail):
        one = schedule.replace(fail=fail, recover=0.5)
        return one.init(key).mean()

    shares = jax.jit(jax.vmap(share))(jnp.array([0.0, 0.5, 1e9]))
    assert shares[0] == 1 and 0 < shares[1] < 1 and shares[2] == 0


@pytest.mark.parametrize("swaps", [1, 3])
def test_swaps_follow_the_interchange_process(swaps):
    # Exactly, on a path of 3: each swap exchanges the nodes at places (0, 1) or (1, 2).
    path = from_weights([[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    orders = list(itertools.permutations(range(3)))
    chance = dict.fromkeys(orders, 0.0) | {(0, 1, 2): 1.0}
    for _ in range(swaps):
        after = dict.fromkeys(orders, 0.0)
        for (a, b, c), p in chance.items():
            after[b, a, c] += p / 2
            after[a, c, b] += p / 2
        chance = after
    _, W, order = cases.rounds(PeerSwap.of(path, swaps=swaps), COUNT, KEY, 2)
    assert np.all(order[:, 0] == np.arange(3))
    seen = [tuple(row) for row in order[:, 1].tolist()]
    for one in orders:
        assert cases.often(np.array(seen.count(one) / COUNT), np.array(chance[one]), COUNT)
    eye = np.eye(3)[order[:, 1]]  # row v: the node at place v
    np.testing.assert_array_equal(W[:, 1], eye.swapaxes(1, 2) @ path.weights.toarray() @ eye)


def test_after_many_swaps_all_neighbours_are_alike_and_degrees_stay():
    n, degree, length = 8, 3, 12
    _, W, _ = cases.rounds(PeerSwap.for_nodes(n, degree=degree, swaps=8), 1500, KEY, length)
    linked = W * (1 - np.eye(n)) > 0
    np.testing.assert_array_equal(linked.sum(axis=3), degree)
    assert cases.often(linked[:, -1].mean(axis=0)[np.triu_indices(n, 1)], degree / (n - 1), 1500)
    assert not cases.often(linked[:, 1].mean(axis=0)[np.triu_indices(n, 1)], degree / (n - 1), 1500)


def test_without_swaps_the_graph_stands_still():
    _, W, _ = cases.rounds(PeerSwap.for_nodes(6, degree=3, swaps=0), 2, KEY, 3)
    np.testing.assert_allclose(W, np.broadcast_to(random_regular(6, 3).weights.toarray(), W.shape), atol=1e-7)
    assert PeerSwap.for_nodes(7).swaps == 3


def test_reach_is_the_closed_form():
    for r in (0.01, 0.3, 0.8, 1.0):
        assert abs(reach(r) - (np.pi * r**2 - 8 * r**3 / 3 + r**4 / 2)) < 1e-10
    points = np.random.default_rng(0).random((2, 100_000, 2))
    near = np.linalg.norm(points[0] - points[1], axis=1) <= 1.2
    assert abs(near.mean() - reach(1.2)) < 5 * near.std() / np.sqrt(near.size)


@pytest.mark.parametrize(("n", "degree"), [(12, 3), (12, 9), (5, 4)])
def test_moving_nodes_have_the_degree_asked_for_and_stay_uniform(n, degree):
    made, W, place = cases.rounds(Mobility.for_nodes(n, degree=degree, speed=0.3), 1500, KEY, 4)
    links = made.links.used.sum(axis=3).mean(axis=2)
    for t in (0, 3):
        assert cases.close(links[:, t], degree)
        assert place.position[:, t].min() >= 0 and place.position[:, t].max() <= 1
        cells = (place.position[:, t, 0] * 3).astype(int)
        assert cases.often((cells[:, 0] == 0).mean(), 1 / 3, 1500) and cases.often(
            (cells[:, 1] == 2).mean(), 1 / 3, 1500
        )
    far = np.linalg.norm(place.position[:, :, :, None] - place.position[:, :, None], axis=-1)
    radius = Mobility.for_nodes(n, degree=degree).radius
    unsure = np.abs(far - radius) < 1e-5
    np.testing.assert_array_equal(made.links.used[~unsure], ((far <= radius) & ~np.eye(n, dtype=bool))[~unsure])
    degrees = made.links.used.sum(axis=3)
    most = np.maximum(degrees[..., :, None], degrees[..., None, :])
    np.testing.assert_allclose(W * (1 - np.eye(n)), made.links.used / (1 + most), rtol=1e-6)


def test_courses_are_straight_and_reflected(x64):
    schedule = Mobility.for_nodes(2, degree=1, speed=0.25, turn=0.0)
    memory = Place(jnp.array([[0.5, 0.9], [0.1, 0.5]]), jnp.array([[0.0, 1.0], [-0.6, 0.8]]))
    move = jax.jit(lambda schedule, memory: schedule(memory, 0, KEY)[1])
    after = move(schedule, memory)
    np.testing.assert_allclose(after.position, [[0.5, 0.85], [0.05, 0.7]], atol=1e-12)
    np.testing.assert_allclose(after.heading, [[0.0, -1.0], [0.6, 0.8]], atol=1e-12)
    np.testing.assert_allclose(move(schedule, after).position, [[0.5, 0.6], [0.2, 0.9]], atol=1e-12)
    turned = move(schedule.replace(turn=1.0), memory)
    np.testing.assert_allclose(np.linalg.norm(turned.heading, axis=1), 1)
    assert not np.allclose(np.abs(turned.heading), np.abs(memory.heading))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: GilbertElliott.for_nodes(4), "got degree=4 with n=4, a regular graph needs degree < n; try degree=3"),
        (
            lambda: checks.fields(GilbertElliott.for_nodes(8, fail=1.5)),
            "got GilbertElliott.fail=1.5, need a number between 0 and 1",
        ),
        (lambda: PeerSwap.for_nodes(8, swaps=-1), "got swaps=-1, need a whole number of at least 0"),
        (lambda: PeerSwap.of(exponential(8)), "whose W is not symmetric, a swap needs links both ways"),
        (lambda: Mobility.for_nodes(4), "got degree=4 with n=4, a node has at most n - 1 neighbours; try degree=3"),
        (
            lambda: checks.fields(Mobility.for_nodes(8, turn=2.0)),
            "got Mobility.turn=2.0, need a number between 0 and 1",
        ),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)
