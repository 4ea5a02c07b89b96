"""Rules that ask the data of the receiver, or the model of the server, against NumPy and closed forms."""

import functools

import exchange_programs as programs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import robust_numpy as by_hand
from flax import struct

import jdl
from jdl import exchange, topology, tree
from jdl import plan as plans
from jdl.exchange import mixing

N, D = 10, 6
KEY = jax.random.key(0)
fast = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
GRAPH = topology.erdos_renyi(N, degree=4, seed=3)


def halves(x):
    return [jnp.asarray(x[:, :2]), jnp.asarray(x[:, 2:])]


def messages(seed=0):
    return np.random.default_rng(seed).standard_normal((N, D)).astype(np.float32)


@struct.dataclass
class Asking:
    """The inbox is the loss of the node's own message, in every place."""

    needs = frozenset({"peers", "models"})
    breaks = frozenset()

    def init(self, message):
        return ()

    def apply(self, state, wire, key):
        found = wire.losses(wire.own)
        inbox = jax.tree.map(lambda x: jnp.broadcast_to(tree.column(found, x), x.shape), wire.own)
        return inbox, state, mixing.delivered(wire)


@struct.dataclass
class Comparing:
    """A method that keeps its model, and reports how far what `Asking` found is from the node's own answer."""

    needs = frozenset({"peers", "loss"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return params

    def send(self, state, node):
        return state, state

    def recv(self, state, inbox, node):
        found = jax.tree.leaves(inbox)[0].ravel()[0]
        return state, {"gap": jnp.abs(found - node.loss(state)), "asked": found}

    def model(self, state):
        return state


def test_losses_are_those_of_the_nodes_minibatch():
    """Bit for bit over a round of all rows, and of a few."""
    data = jdl.problems.quadratic(nodes=8, dim=3, noise=0.5)
    for talk in (topology.ring(8), jdl.schedule.AsynchronousPairs.of(topology.ring(8), wave=2)):
        built = jdl.simulation(data, Comparing(), talk, [Asking()], mapping="vmap")
        _, reports = fast(lambda s: jdl.sim.step(s, jdl.sim.init(s)))(built)
        assert np.all(np.asarray(reports.values["gap"]) == 0) and np.ptp(reports.values["asked"]) > 0


@fast
def ubar_program(rules, wire, targets):
    """Each node's loss is its squared distance from a target of its own."""
    loss = lambda leaves: jnp.sum(jnp.square(jnp.concatenate(leaves, axis=1) - targets), axis=1)
    return [rule.apply((), wire.replace(losses=loss), KEY)[0] for rule in rules]


@pytest.mark.parametrize("form", ["slots", "dense"])
def test_ubar_is_the_mean_of_near_neighbours_with_no_larger_loss(form):
    own, targets = messages(1), messages(2)
    sent = own.copy()
    sent[4], sent[7] = 1e3, np.nan  # a liar that is far from all, and one that sends no numbers
    plan = plans.one_by_one(GRAPH.plan(form))
    arrived = np.array(jax.random.bernoulli(KEY, 0.8, plan.links.used.shape))
    arrived[2] = False  # one hears nobody
    plan = plans.lose(plan, jnp.asarray(arrived))
    rhos = (0.4, 0.7, 1.0)
    rules = tree.numbers_to_arrays([exchange.UBAR(rho, 0.3) for rho in rhos])
    wire = programs.wire(plan, halves(own), halves(sent))
    found = [np.concatenate(inbox, axis=1) for inbox in ubar_program(rules, wire, targets)]
    rows = by_hand.neighbourhoods(plan, own, sent)
    counts = set()
    for rho, mine in zip(rhos, found, strict=True):
        for i, (x, w) in enumerate(rows):
            loss = lambda y, i=i: np.sum((y - targets[i].astype(float)) ** 2)
            np.testing.assert_allclose(mine[i], by_hand.ubar(x, w, rho, 0.3, loss), rtol=1e-5, atol=1e-5)
            counts.add(sum(loss(y) <= loss(x[0]) for y in x[1:]))
    assert {0, 1} < counts and np.array_equal(found[0][2], own[2])  # each of the cases occurs


def test_ubar_of_everybody_where_all_are_equally_good_is_gossip():
    ring = topology.ring(N)
    wire = programs.wire(ring.plan("slots"), [jnp.asarray(messages())])
    rule = tree.numbers_to_arrays([exchange.UBAR(1.0, float(ring.weights.toarray()[0, 0]))])
    gossip = lambda rules, wire: [rule.apply((), wire.replace(losses=equally), KEY)[0] for rule in rules]
    ((mine,),) = fast(gossip)(rule, wire)
    np.testing.assert_allclose(mine, ring.weights.toarray() @ messages(), atol=1e-6)


def equally(models):
    return jnp.ones(models[0].shape[0])


def refusal(*args, **kwargs):
    with pytest.raises(jdl.checks.InputError) as caught:
        jdl.simulation(*args, **kwargs)
    return str(caught.value)


def test_who_cannot_be_asked_is_refused():
    data, ring = jdl.problems.quadratic(nodes=8, dim=3), topology.ring(8)
    tracked = refusal(data, jdl.algorithms.GradientTracking(), ring, [exchange.UBAR()])
    assert "'models'" in tracked and "DPSGD" in tracked
    cut = refusal(data, jdl.algorithms.DPSGD(), ring, [exchange.SliceLoss(), exchange.UBAR()])
    assert "asks the loss of models" in cut
    assert "'peers'" in refusal(data, jdl.algorithms.FedAvg(), network=[exchange.UBAR()])
    each = refusal(data, jdl.algorithms.DPSGD(), ring, [exchange.Dissensus(), exchange.SybilWall()], attackers=[1])
    assert "one of each for SybilWall" in each
    jdl.simulation(data, jdl.algorithms.DPSGD(), ring, [exchange.Dissensus(), exchange.UBAR()], attackers=[1])


def test_ubar_beats_the_mean_under_lies():
    """Four of twenty send minus ten times their model."""
    data = jdl.problems.quadratic(nodes=20, dim=4, condition=2.0, seed=1)
    graph = topology.erdos_renyi(20, degree=8, seed=1)
    liars = [exchange.SignFlip(strength=10.0)]
    run = lambda rule: jdl.run(data, jdl.algorithms.DPSGD(lr=0.1), graph, [*liars, *rule], rounds=40, attackers=4)
    mean, ubar = (float(np.asarray(run(rule).history["mean_loss"])[-1]) for rule in ([], [exchange.UBAR()]))
    assert np.isfinite(ubar) and not mean < 10 * ubar


CLIENTS = plans.clients(jnp.arange(N, dtype=jnp.int32))


@fast
def cpa_program(rule, state, wire):
    return rule.apply(state, wire, KEY)[:2]


def test_fed_cpa_counts_clients_by_their_critical_parameters():
    """Two rounds: one message is lost, one holds NaN, and one shuffles its change."""
    rng, rule = np.random.default_rng(5), exchange.FedCPA(share=0.2)
    size = int(24 * 0.2)
    weights = np.arange(1.0, N + 1)
    plan = CLIENTS.replace(links=CLIENTS.links.replace(weights=jnp.asarray(weights, jnp.float32)))
    plan = plans.lose(plan, jnp.arange(N) != 3)
    there = ~np.isin(np.arange(N), (3, 8))
    common, state, before = rng.standard_normal(24) * np.geomspace(0.01, 10, 24), None, None
    for t in range(2):
        model, biases = rng.standard_normal(24), rng.standard_normal((N, 3))
        x = common * (1 + 0.2 * rng.standard_normal((N, 24)))
        x[5] = rng.permutation(x[5])
        x[8, 2] = np.nan
        message = {"a": x.reshape(N, 4, 6), "b": biases}
        reference = {"a": model.reshape(4, 6), "b": np.zeros(3)}
        message, reference = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), (message, reference))
        wire = programs.wire(plan, message).replace(reference=reference)
        state = rule.init(message) if state is None else state
        inbox, state = cpa_program(rule, state, wire)
        chosen = by_hand.fed_cpa(x[there], weights[there], model, before, size)
        assert (chosen == 0).any() and (chosen > 0).sum() > 2 and chosen[np.flatnonzero(there) == 5] == 0
        np.testing.assert_allclose(inbox["a"].ravel(), chosen @ x[there], rtol=2e-4, atol=2e-5)
        np.testing.assert_allclose(inbox["b"], chosen @ biases[there], rtol=2e-4, atol=2e-5)
        before = model
        if t == 0:  # where nothing arrives, and where all send the same
            nothing = programs.wire(plans.lose(plan, jnp.arange(N) < 0), message).replace(reference=reference)
            assert not np.any(cpa_program(rule, state, nothing)[0]["a"])
            same = jax.tree.map(lambda x: jnp.broadcast_to(x[:1], x.shape), message)
            inbox, _ = cpa_program(rule, state, programs.wire(plan, same).replace(reference=reference))
            np.testing.assert_allclose(inbox["a"], same["a"][0], rtol=1e-6)


def test_the_reference_is_what_the_server_sent():
    """Clients hear x, and the criticality of round 2 is that of the server's step of round 1."""
    data = jdl.problems.quadratic(nodes=6, dim=5, seed=2)
    built = jdl.simulation(data, jdl.algorithms.FedAvg(lr=0.1), network=[exchange.FedCPA(0.4)])
    start = np.random.default_rng(0).standard_normal(5).astype(np.float32)
    begun = fast(jdl.sim.init)(built, start)
    after, _ = fast(jdl.sim.step)(built, begun)
    np.testing.assert_array_equal(after.exchange_state[0].before[0], start)
    assert bool(after.exchange_state[0].known)
    assert "'reference'" in refusal(data, jdl.algorithms.Scaffold(), network=[exchange.FedCPA()])
    assert "'server'" in refusal(data, jdl.algorithms.DPSGD(), topology.ring(6), [exchange.FedCPA()])


@fast
def all_draws(key):
    """For each receiver, sender and peer."""
    ids = jnp.arange(N, dtype=jnp.int32)
    fold = lambda keys: jax.vmap(lambda one: jax.vmap(lambda i: jax.random.fold_in(one, i))(ids))(keys).ravel()
    return jax.vmap(jax.random.gumbel)(fold(fold(fold(key[None])))).reshape(N, N, N)


@pytest.mark.parametrize("places", [0, 2, 8])
def test_sybil_wall_against_dictionaries(places):
    """Six rounds over a sparse graph; the draws are those of the exchange, what is done with them is not."""
    graph = topology.erdos_renyi(N, degree=3, seed=4)
    plan = plans.one_by_one(graph.plan("slots"))
    who, used = np.asarray(plans.senders(plan.links)), np.asarray(plan.links.used)
    neighbours = [who[i, used[i]].tolist() for i in range(N)]
    rule = tree.numbers_to_arrays(exchange.SybilWall(decay=0.8, kept=places))
    wall, order = by_hand.Wall(neighbours, places), [[None] * places for _ in range(N)]
    state = programs.begun(rule, halves(messages()))
    for t in range(6):
        key = jax.random.fold_in(KEY, t)
        x = messages(t)
        x[1] = x[0] + 0.1 * x[1]  # two that are alike
        inbox, state, traffic = programs.apply(rule, state, programs.wire(plan, halves(x)), key)
        before = [dict(one) for one in wall.distant]
        if t:
            old = by_hand.Wall(neighbours, places)
            old.direct, old.distant = wall.direct, before
            draws = np.asarray(all_draws(key))
            for i in range(N):
                for sender in sorted(neighbours[i]):
                    told = old.told(sender, i, draws[i, sender], 0.8)
                    if told and places:
                        wall.keep(i, sender, *told, order[i])
        expected = np.stack([wall.mean(i, x.astype(float)) for i in range(N)])
        np.testing.assert_allclose(np.concatenate(inbox, axis=1), expected, atol=2e-4)
        assert [[-1 if p is None else p for p in row] for row in order] == np.asarray(state.kept.peer).tolist()
        sizes = 128 + (t > 0) * (32 * D + 96)
        assert np.array_equal(traffic.bits, np.asarray(plans.out_degree(plan)) * sizes)
        wall.direct = [{j: (t, 1, -1, x[j].astype(float)) for j in neighbours[i]} for i in range(N)]
    assert not places or max(len(one) for one in wall.distant) == places or places == 8


def test_sybils_count_for_nothing_also_if_they_know_different_nodes():
    """On a ring, honest models are orthogonal; sybils 0 and 4 send one model, and have no common neighbour."""
    ring, x = topology.ring(8), np.eye(8, dtype=np.float32)
    x[4] = x[0]
    x[2] = np.nan
    wire = programs.wire(ring.plan("slots"), [jnp.asarray(x)])
    counts, honest = {}, np.isin(np.arange(8), (1, 3, 5, 6, 7))
    for places in (0, 8):
        rule = tree.numbers_to_arrays(exchange.SybilWall(kept=places, sketch=None if places else 64))
        state = programs.begun(rule, wire.sent)
        for t in range(12):
            (inbox,), state, _ = programs.apply(rule, state, wire, jax.random.fold_in(KEY, t))
        counts[places] = np.asarray(inbox)[[1, 7, 3, 5], [0, 0, 0, 0]]
        assert np.all(np.isfinite(inbox[honest]))
        np.testing.assert_allclose(inbox[6], (x[5] + x[6] + x[7]) / 3, atol=1e-6)  # two honest ones and itself
    np.testing.assert_allclose(counts[0], [1 / 2, 1 / 3, 1 / 2, 1 / 3], atol=1e-6)  # beside the one that sends NaN
    assert not counts[8].any()


@pytest.mark.parametrize("steps", [1, 3])
def test_fl_trust_takes_what_points_the_way_of_its_own_change(steps):
    """One message is lost, one holds NaN, one is zero; the loss of the server is a squared distance."""
    rng = np.random.default_rng(7)
    model, target, weights = rng.standard_normal(D), rng.standard_normal(D), np.arange(1.0, N + 1)
    plan = CLIENTS.replace(links=CLIENTS.links.replace(weights=jnp.asarray(weights, jnp.float32)))
    plan = plans.lose(plan, jnp.arange(N) != 3)
    x = rng.standard_normal((N, D))
    x[8, 2], x[5] = np.nan, 0
    start = model
    for _ in range(steps):
        model = model - 0.2 * 2 * (model - target)
    g, expected, total = model - start, np.zeros(D), 0.0
    for a, one in zip(weights, x, strict=True):
        if a != 4 and np.all(np.isfinite(one)) and np.any(one):
            v = max(0, one @ g / np.linalg.norm(one) / np.linalg.norm(g))
            expected, total = expected + a * v * one * np.linalg.norm(g) / np.linalg.norm(one), total + a * v
    rule = tree.numbers_to_arrays(exchange.FLTrust(0.2, steps))
    wire = programs.wire(plan, halves(x.astype(np.float32)))
    wire = wire.replace(reference=[jnp.asarray(start[:2], jnp.float32), jnp.asarray(start[2:], jnp.float32)])
    inbox, against = trust_program(rule, wire, jnp.asarray(target, jnp.float32), jnp.asarray(-g, jnp.float32))
    np.testing.assert_allclose(np.concatenate(inbox), expected / total, rtol=1e-5, atol=1e-6)
    assert not any(np.any(leaf) for leaf in against)  # where all point the other way


@fast
def trust_program(rule, wire, target, away):
    loss = lambda leaves: jnp.sum(jnp.square(jnp.concatenate(leaves, axis=1) - target[None]), axis=1)
    wire = wire.replace(losses=loss)
    opposed = [jnp.broadcast_to(x[None], (N, *x.shape)) for x in (away[:2], away[2:])]
    return [rule.apply((), one, KEY)[0] for one in (wire, wire.replace(own=opposed, sent=opposed))]


def test_fl_trust_trains_on_public_data():
    """By hand from what was on the links and from the gradient on all public examples, which fit one minibatch."""
    data = jdl.problems.digits(nodes=3, hidden=0, public=0.02)
    built = jdl.simulation(data, jdl.algorithms.FedAvg(lr=0.1), network=[exchange.FLTrust(0.1)])
    begun = fast(jdl.sim.init)(built)
    after, wires = fast(lambda s, state: (jdl.sim.step(s, state)[0], jdl.sim.wires(s, state)))(built, begun)
    batch = data.public_x, data.public_y, jnp.ones(len(data.public_x), bool)
    vector = lambda x: np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(x)]).astype(float)
    g = -0.1 * vector(jax.grad(lambda x: data.loss(x, batch)[0])(begun.server))
    x = np.stack([vector(jax.tree.map(lambda leaf, i=i: leaf[i], wires[0].sent)) for i in range(3)])
    lengths = np.linalg.norm(x, axis=1)
    trust = np.asarray(wires[0].plan.links.weights) * np.maximum(x @ g, 0) / lengths
    expected = (trust / trust.sum() / lengths) @ x * np.linalg.norm(g)
    np.testing.assert_allclose(vector(after.server) - vector(begun.server), expected, atol=1e-6)
    assert np.all(trust > 0) and np.abs(expected).max() > 1e-3
    nobody = refusal(jdl.problems.digits(nodes=3), jdl.algorithms.FedAvg(), network=[exchange.FLTrust()])
    assert "'public'" in nobody
    unlabelled = jdl.problems.digits(nodes=3, public=np.zeros((5, 64), np.float32))
    assert "without targets" in refusal(unlabelled, jdl.algorithms.FedAvg(), network=[exchange.FLTrust()])
