"""Lies that differ from victim to victim, in every form of a plan, against NumPy."""

import attack_beds as beds
import exchange_programs as programs
import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest

import jdl
from jdl import exchange, topology, tree
from jdl import plan as plans
from jdl.exchange import Dissensus, Linear, Lossy, Repeated, Spectral, TrimmedMean, Verified
from jdl.types import Each

N = 10
HONEST = np.array([1, 0, 1, 1, 1, 1, 0, 1, 1, 1], bool)
ROLES = jdl.roles.of(honest=HONEST)
IRREGULAR = topology.from_graph(nx.lollipop_graph(6, 4))
X = np.random.default_rng(0).standard_normal((N, 3)).astype(np.float32)
FORMS = {
    **{form: (IRREGULAR, form) for form in ("dense", "slots", "edges", "hubs")},
    "circulant": (topology.ring(N), "circulant"),
    "groups": (topology.complete(N), "groups"),
}
SLOW = {"edges", "circulant", "groups"}  # as lists of slots, or with slots made of them


def wire_of(plan):
    return programs.wire(plan, jnp.asarray(X), bits=96, roles=ROLES)


def attacked(attack, wire, inner):
    network = tree.numbers_to_arrays(attack).replace(inner=inner)
    return programs.apply(network, network.init(wire.own), wire, beds.KEY)


def lies_of(W, strength):
    """What each honest node with a liar among its neighbours is told, row by row."""
    lies = np.full((N, 3), np.nan)
    for i in np.flatnonzero(HONEST & (W[:, ~HONEST].sum(axis=1) > 0)):
        pull = sum(W[i, k] * (X[k] - X[i]) for k in range(N) if HONEST[k] and k != i)
        lies[i] = X[i] - strength * pull / W[i, ~HONEST].sum()
    return lies


@pytest.mark.parametrize(
    "form", [pytest.param(form, marks=[pytest.mark.slow] if form in SLOW else []) for form in FORMS]
)
def test_dissensus_freezes_its_victims_and_reaches_nobody_else(form):
    graph, name = FORMS[form]
    W, plan = graph.weights.toarray(), graph.plan(name)
    inbox, _, traffic = attacked(Dissensus(), wire_of(plan), Linear())
    lies = lies_of(W, 1.0)
    victims = np.isfinite(lies[:, 0])
    assert victims.any() and (form == "groups" or not victims[HONEST].all())
    np.testing.assert_allclose(np.asarray(inbox)[victims], X[victims], atol=1e-6)
    np.testing.assert_allclose(np.asarray(inbox)[~victims], (W @ X)[~victims], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(float(traffic.messages.sum()), np.count_nonzero(W) - N)
    assert float(traffic.bits.sum()) == 96 * (np.count_nonzero(W) - N)


def test_each_victim_is_told_a_lie_of_its_own_by_liars():
    W, wire = IRREGULAR.weights.toarray(), wire_of(IRREGULAR.plan("slots"))
    heard, _, _ = beds.heard(tree.numbers_to_arrays(Dissensus(1.7)), wire)
    lies = lies_of(W, 1.7)
    victims = np.isfinite(lies[:, 0])
    np.testing.assert_allclose(np.asarray(heard.sent)[N:][victims], lies[victims], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(heard.sent[:N], X)
    from_liars = ~HONEST[np.asarray(plans.senders(wire.plan.links))] & np.asarray(wire.plan.links.used)
    led = np.asarray(heard.plan.links.senders) >= N
    np.testing.assert_array_equal(led, from_liars & HONEST[:, None])
    first = [min(j for j in range(N) if W[i, j] and not HONEST[j]) for i in np.flatnonzero(victims)]
    np.testing.assert_array_equal(np.asarray(heard.origin)[N:][victims], first)
    np.testing.assert_array_equal(np.asarray(heard.bits)[N:], np.where(victims, 96, 0))


def test_what_is_lost_before_the_attack_is_reckoned_with():
    """Victims stay where they are over the links that remain, as long as a liar's is among them."""
    plan = IRREGULAR.plan("slots")
    network = tree.numbers_to_arrays(Lossy(0.4, inner=Dissensus()))
    inbox = np.asarray(programs.apply(network, (), wire_of(plan), beds.KEY)[0])
    lost = programs.apply(tree.numbers_to_arrays(Lossy(0.4, inner=beds.Arrivals())), (), wire_of(plan), beds.KEY)[0]
    liars = ~HONEST[np.asarray(plans.senders(plan.links))]
    hit = HONEST & np.any(np.asarray(lost) & liars, axis=1)
    assert 0 < hit.sum() < np.isfinite(lies_of(IRREGULAR.weights.toarray(), 1.0)[:, 0]).sum()
    np.testing.assert_allclose(inbox[hit], X[hit], atol=1e-6)


def test_a_robust_rule_sees_the_lies():
    W, wire = IRREGULAR.weights.toarray(), wire_of(IRREGULAR.plan("slots"))
    inbox, _, _ = attacked(Dissensus(3.0), wire, TrimmedMean(1))
    lies = lies_of(W, 3.0)
    for i in np.flatnonzero(HONEST):
        heard = [X[i], *(lies[i] if not HONEST[j] else X[j] for j in range(N) if j != i and W[i, j])]
        cut = min(1, (len(heard) - 1) // 2)
        kept = np.sort(heard, axis=0)[cut : len(heard) - cut]
        np.testing.assert_allclose(np.asarray(inbox)[i], kept.mean(axis=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["dense", "hubs"])
def test_spectral_lies_lie_along_the_fiedler_vector_of_the_honest_graph(form):
    W = IRREGULAR.weights.toarray()
    # Without node 6 the tail hangs alone: the liars are two nodes of the clique.
    honest = np.arange(N) % 10 > 1
    graph = nx.from_numpy_array(np.where(honest[:, None] & honest, W * (1 - np.eye(N)), 0)).subgraph(range(2, N))
    values, vectors = np.linalg.eigh(nx.laplacian_matrix(graph, nodelist=range(2, N)).toarray())
    assert values[1] > 1e-3 and values[2] - values[1] > 1e-3
    v = np.concatenate([[0, 0], vectors[:, 1]])
    wire = wire_of(IRREGULAR.plan(form)).replace(roles=jdl.roles.of(honest=honest))
    heard, _, _ = beds.heard(tree.numbers_to_arrays(Spectral(2.0)), wire)
    victims = honest & (W[:, :2].sum(axis=1) > 0)
    lies = X + 2 * v[:, None] * (v @ X)[None]
    np.testing.assert_allclose(np.asarray(heard.sent)[N:][victims], lies[victims], rtol=1e-4, atol=1e-5)
    assert victims.sum() > 3 and np.abs(lies - X)[victims].max() > 0.05


def test_nobody_lies_and_no_bit_changes():
    wire = wire_of(IRREGULAR.plan("slots")).replace(roles=jdl.roles.everybody_honest(N))
    plain = programs.apply(Linear(), (), wire, beds.KEY)[0]
    for attack in (Dissensus(), Spectral()):
        np.testing.assert_array_equal(attacked(attack, wire, Linear())[0], plain)


def test_gossip_is_not_repeated_over_rows_that_are_no_nodes():
    wire, network = wire_of(IRREGULAR.plan("slots")), Dissensus(inner=Repeated(2))
    with pytest.raises(jdl.checks.InputError, match="got 20 messages in a round of 10 nodes, need one of each node"):
        jax.eval_shape(network.apply, network.init(wire.own), wire, beds.KEY)
    assert isinstance(exchange.stack([Repeated(2), Dissensus()]), Repeated)


def test_each_link_knows_which_liar_sends_on_it():
    """Nodes 1 and 6 lie to all of a clique: messages one by one come from both, and links fail as without an attack."""
    plan = topology.complete(N).plan("slots")
    both = {"slots": plan, "dense": topology.complete(N).plan("dense")}
    given = {name: programs.wire(one, Each(jnp.asarray(X)), bits=96, roles=ROLES) for name, one in both.items()}

    @beds.quick
    def program(given):
        found = {}
        for name, wire in given.items():
            posted = Dissensus(inner=Linear()).apply((), wire, beds.KEY)[0]
            lost = Lossy(0.4, inner=beds.Arrivals())
            arrived = [one.apply((), wire, beds.KEY)[0] for one in (Dissensus(inner=lost), lost)]
            found[name] = posted.inbox.ids, posted.content[posted.rows], posted.inbox.arrived, arrived
        return found

    W = topology.complete(N).weights.toarray()
    lies = lies_of(W, 1.0)
    for name, out in jax.tree.map(np.asarray, program(given)).items():
        ids, rows, there, (attacked, plain) = out
        for i in range(N):
            assert sorted(ids[i][there[i]]) == [j for j in range(N) if j != i], name
            for j, row in zip(ids[i][there[i]], rows[i][there[i]], strict=True):
                lied = HONEST[i] and not HONEST[j]
                np.testing.assert_allclose(row, lies[i] if lied else X[j], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(attacked, plain)


def test_validators_catch_every_liar_of_a_shared_lie():
    """Two liars have the same three victims and no link to each other."""
    graph, honest = topology.from_graph(nx.complete_bipartite_graph(2, 3)), np.arange(5) > 1
    wire = programs.wire(graph.plan("slots"), jnp.asarray(X[:5]), bits=96, roles=jdl.roles.of(honest=honest))
    network = tree.numbers_to_arrays(Dissensus(inner=Verified(1.0)))
    _, state, _ = programs.apply(network, programs.begun(network, wire.own), wire, beds.KEY)
    np.testing.assert_array_equal(state.banned, ~honest)
