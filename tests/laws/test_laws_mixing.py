"""Laws on what mixing means: labels do not matter, W = I isolates, W = J centralises, the mean is kept."""

import bed as beds
import cases
import classes
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bed import KEPT, ROUNDS
from cases import ANY_GRAPH
from facts import COUNTING_CHANGES

import jdl

LAWS = cases.Laws()


@pytest.mark.parametrize("name", classes.in_turn(cases.ALGORITHMS))
def test_laws_of_mixing(name):
    LAWS.check(beds.bed(name))


@LAWS.over(cases.ALGORITHMS, "relabelling")
def relabelling_nodes_relabels_results(bed):
    order = np.random.default_rng(1).permutation(cases.N)
    moved = bed.data.replace(A=bed.data.A[order], b=bed.data.b[order])
    if bed.server:
        served = bed.base[order] if len(bed.base) == cases.N else bed.base  # each user a model of its own, or all one
        np.testing.assert_allclose(bed.run(data=moved), served, rtol=1e-5, atol=1e-6)
        return
    relabelled = bed.run(W=bed.W[order][:, order], data=moved, start=bed.start[order])
    np.testing.assert_allclose(relabelled, bed.base[order], rtol=1e-5, atol=1e-6)
    assert np.abs(relabelled - bed.base).max() > 1e-3


@pytest.mark.parametrize(
    "name", classes.one_of_each(cases.law("relabelling", cases.ALGORITHMS), classes.of_rows, turn=0)
)
def test_relabelling_nodes_relabels_results_with_liars_among_them(name):
    """Data, graph, starts and roles are permuted: who lies is a node, and not a row."""
    bed, order = beds.bed(name), np.random.default_rng(2).permutation(cases.N)
    honest = np.arange(cases.N) % 3 != 1
    permuted = bed.data.replace(A=bed.data.A[order], b=bed.data.b[order])

    def models(W, data, start, honest):
        roles = jdl.roles.of(honest=honest)
        network = [jdl.exchange.SignFlip(strength=0.5)]
        return cases.run(cases.build(name, W, data=data, network=network, roles=roles), 3, start)

    plain = models(bed.W, bed.data, bed.start, honest)
    start = bed.start if bed.server else bed.start[order]
    moved = models(bed.W[order][:, order], permuted, start, honest[order])
    expected = (
        plain[order] if len(plain) == cases.N else plain
    )  # a server serves all with one model, or each with its own
    np.testing.assert_allclose(moved, expected, rtol=1e-5, atol=1e-5)
    # Others that lie make another outcome, wherever messages are sent.
    others = models(bed.W, bed.data, bed.start, honest[::-1].copy())
    assert (np.abs(others - plain).max() > 1e-3) == (bed.server or cases.mixes(name))


@LAWS.over(ANY_GRAPH)
def without_links_a_node_depends_on_nothing_but_its_own_data_and_start(bed):
    """To the last bit, whatever the others hold: the whole state, the model and the traffic."""
    (one, mine), (other, theirs) = bed.isolated, bed.strangers
    for a, b in zip(jax.tree.leaves((one.nodes, mine)), jax.tree.leaves((other.nodes, theirs)), strict=True):
        assert np.array_equal(a[KEPT], b[KEPT])
    assert np.abs(mine - theirs)[[i for i in range(cases.N) if i not in KEPT]].min(axis=0).max() > 1e-3
    assert not one.traffic.bits.any() and not one.traffic.messages.any()


@LAWS.over(ANY_GRAPH)
def mixing_makes_a_difference_where_it_is_asked_for(bed):
    assert (np.abs(bed.isolated[1] - bed.base).max() > 1e-2) == cases.mixes(bed.name)


CENTRAL = [name for name in cases.SERVERS if name not in COUNTING_CHANGES] + ANY_GRAPH


@LAWS.over(CENTRAL, "centralised")
def equal_data_and_complete_graph_is_the_centralised_method(bed):
    """Peers that average over all (W = J) do what each does alone (W = I), clients of a server what one alone does."""
    start, n = bed.start.reshape(-1, cases.DIM)[0], cases.N
    if bed.server:
        results, central = bed.run(data=bed.same_data), alone(bed.name, bed.data, 0, start)
    else:
        results = bed.run(W=np.full((n, n), 1 / n), data=bed.same_data, start=start)
        central = bed.run(W=np.eye(n), data=bed.same_data, start=start)[0]
    np.testing.assert_allclose(results, np.broadcast_to(central, results.shape), rtol=1e-5, atol=1e-6)
    assert np.abs(central - start).max() > 1e-2


def alone(name: str, data, i: int, start) -> np.ndarray:
    """The models of the same method on a network of one node, which holds node i's data."""
    one = data.replace(A=data.A[i : i + 1], b=data.b[i : i + 1])
    return cases.whole(cases.build(name, np.ones((1, 1)), data=one), start, jnp.int32(ROUNDS))[0]


@pytest.mark.parametrize("name", classes.one_of_each(cases.law("alone", ANY_GRAPH), classes.of_messages, turn=1))
def test_without_links_every_node_trains_as_in_a_network_of_one(name):
    bed = beds.bed(name)
    for i in (0, 5):
        np.testing.assert_allclose(bed.isolated[1][i], alone(name, bed.data, i, bed.start[i]), rtol=1e-5, atol=1e-6)


@LAWS.over(ANY_GRAPH, "mixing alone")
def mixing_alone_keeps_the_mean_and_brings_models_together(bed):
    start, results = bed.start, beds.bed(bed.name, plain=True).run(lr=0.0)
    np.testing.assert_allclose(results.mean(0), start.mean(0), rtol=0, atol=2e-6)
    spread = np.square(results - results.mean(0)).sum() / np.square(start - start.mean(0)).sum()
    # Also methods that mix with a lazier matrix, such as (I + W) / 2, have contracted below this by now.
    lazy = (1 + np.sort(np.linalg.eigvalsh(cases.weights()))[-2]) / 2
    assert (spread <= 2 * lazy ** (2 * ROUNDS)) if cases.mixes(bed.name) else spread == pytest.approx(1)


@LAWS.over(ANY_GRAPH, "first gradient")
def the_first_gradient_is_the_same_for_every_method(bed):
    """From one seed, node 3's first minibatch gradient under any method is that of plain local training."""
    plain, nobody = beds.bed(bed.name, plain=True), np.eye(cases.N)
    noise = (plain.run(1, W=nobody) - plain.run(1, W=nobody, data=bed.noisy)) / 0.1
    key = jdl.sim.key_of(jax.random.key(0), "data", 0, 3)
    drawn = 0.5 * jax.random.normal(jax.random.fold_in(key, 0), (cases.DIM,))
    np.testing.assert_allclose(noise[3], drawn, rtol=1e-4, atol=1e-5)
