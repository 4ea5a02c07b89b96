"""Derivatives through a simulation: against finite differences of the plain one, their memory, and what is refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import jdl
from jdl.algorithms import D2, DPSGD, KGT, FedAvg, GradientTracking, SwarmSGD
from jdl.checks import InputError
from jdl.command import catalogue
from jdl.compressors import Uniform
from jdl.engine import reverse, rounds
from jdl.engine import sim as simulator
from jdl.engine.irreversible import irreversible_loops
from jdl.engine.metrics.statistics import distances, over_nodes
from jdl.exchange import Choco, Lossy, TrimmedMean
from jdl.exchange.mixing.edges import arranged, by_edges
from jdl.plan import clients
from jdl.schedule import Fixed

N, DIM, ROUNDS = 5, 3, 9


@struct.dataclass
class NodeWeights:
    """The loss of node i is multiplied by `weights[i]`."""

    weights: jax.Array

    def objective(self, inner, data, params, batch, query):
        loss, aux = inner(data, params, batch, query)
        return self.weights[data.id] * loss, aux


@struct.dataclass
class ExampleWeights:
    """The loss of the example in place j of node i is multiplied by `weights[i, j]`."""

    weights: jax.Array

    def objective(self, inner, data, params, batch, query):
        places = data.problem.places(data.id, jdl.oracle.DataOracle().name_of(data, query.which))
        return inner(data, params, batch, query.replace(weights=self.weights[data.id, places]))


# ---- derivatives and finite differences --------------------------------------------------------------------------


def graph():
    """Weights without any symmetry between nodes, and not all pairs are linked."""
    off = np.diag([0.3, 0.2, 0.25, 0.35], 1)
    off[0, 4], off[1, 3] = 0.15, 0.1
    off = off + off.T
    return jdl.topology.from_weights(off + np.diag(1 - off.sum(1)))


def simulation(algorithm, network, problem=None, oracle=None):
    problem = jdl.problems.quadratic(N, DIM, noise=0.1) if problem is None else problem
    oracle = NodeWeights(jnp.linspace(0.5, 1.5, N)) if oracle is None else oracle
    plan = clients(jnp.arange(N, dtype=jnp.int32)) if "server" in algorithm.needs else graph().plan("dense")
    return jdl.simulation(problem, algorithm, Fixed(plan), network, oracle=[oracle], seed=3)


def numbers(s):
    """What is differentiated: mixing weights, rate, start, data weights."""
    start = np.random.default_rng(0).standard_normal((DIM,) if s.has_server else (N, DIM))
    return {
        "weights": s.schedule.plan.links.weights,
        "lr": jnp.asarray(0.2),
        "start": jnp.asarray(start),
        "data": s.oracle.wrappers[0].weights,
    }


def directions(s, at):
    """For each entry a direction in which that entry alone varies; links that are not there are left out."""
    draw = np.random.default_rng(1)
    along = {name: jnp.asarray(draw.standard_normal(np.shape(x))) for name, x in at.items()}
    along["weights"] = jnp.where(s.schedule.plan.links.used, along["weights"], 0)
    alone = lambda name: {other: x if other == name else jnp.zeros_like(x) for other, x in along.items()}
    return jax.tree.map(lambda *x: jnp.stack(x), *(alone(name) for name in at))


def value(at, s):
    """A number to which all metrics, at all evaluations, and the last models contribute."""
    plan = s.schedule.plan
    s = s.replace(
        algorithm=s.algorithm.replace(lr=at["lr"]),
        schedule=s.schedule.replace(plan=plan.replace(links=plan.links.replace(weights=at["weights"]))),
        oracle=s.oracle.replace(wrappers=(s.oracle.wrappers[0].replace(weights=at["data"]),)),
    )
    state, metrics = jdl.simulate(s, ROUNDS, eval_every=2, params=at["start"])
    series = [x * jnp.linspace(1, 2, x.size) for name, x in metrics.items() if name != "round"]
    models = jax.tree.leaves(simulator.models(s, state))
    return sum(jnp.sum(x) for x in series) / 10 + sum(jnp.sum(jnp.sin(x)) for x in models)


@jax.jit
def derivatives(at, along, s):
    """The value, and derivatives along each direction: backwards, and forwards."""
    now, gradient = jax.value_and_grad(value)(at, s)
    dots = jax.vmap(lambda one: sum(jnp.vdot(gradient[name], one[name]) for name in at))(along)
    return now, dots, jax.vmap(lambda one: jax.jvp(lambda at: value(at, s), (at,), (one,))[1])(along)


@jax.jit
def differences(at, along, s, step=1e-6):
    """The value, and central differences along each direction, of the plain simulation, which is compiled once."""
    moves = jax.tree.map(lambda d: jnp.concatenate([jnp.zeros_like(d[:1]), d, -d]), along)
    values = jax.vmap(lambda one: value(jax.tree.map(lambda x, d: x + step * d, at, one), s))(moves)
    ahead, behind = jnp.split(values[1:], 2)
    return values[0], (ahead - behind) / (2 * step)


def agree(s):
    at = numbers(s)
    along = directions(s, at)
    now, backwards, forwards = derivatives(at, along, jdl.differentiable(s))
    plain, differ = differences(at, along, s)
    np.testing.assert_allclose(now, plain, rtol=1e-12)
    np.testing.assert_allclose(backwards, forwards, rtol=1e-10)
    np.testing.assert_allclose(backwards, differ, rtol=1e-6, atol=1e-7)
    assert np.all(np.abs(backwards) > 1e-3), backwards


def test_derivatives_are_those_of_the_plain_simulation(x64):
    agree(simulation(GradientTracking(lr=0.2), [Lossy(0.3)]))


ALGORITHMS = {
    "DPSGD": DPSGD(),
    "GradientTracking": GradientTracking(),
    "D2": D2(),
    "FedAvg": FedAvg(local_steps=2, optimizer="momentum"),
    "KGT": KGT(local_steps=3),
}
NETWORKS = {"linear": [], "lossy": [Lossy(0.3)], "choco": [Choco(0.5, Uniform(6))]}


@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "network"), list(itertools.product(ALGORITHMS, NETWORKS)))
def test_derivatives_of_methods_over_exchanges(algorithm, network, x64):
    """Choco is between peers alone; clients quantise what they send to a server."""
    to_server = algorithm == "FedAvg" and network == "choco"
    agree(simulation(ALGORITHMS[algorithm], [Uniform(6)] if to_server else NETWORKS[network]))


@pytest.mark.slow
def test_derivatives_with_respect_to_weights_of_examples(x64):
    problem = jdl.problems.logistic(N, DIM, examples=6, batch_size=4)
    weights = jnp.asarray(np.random.default_rng(2).uniform(0.5, 1.5, (N, 6)))
    agree(simulation(DPSGD(), [], problem, ExampleWeights(weights)))


# ---- loops ------------------------------------------------------------------------------------------------------


# The number of steps, and of steps between results: none, one, several segments of results, results of segments, rests.
LOOPS = [(0, 1), (1, 1), (12, 5), (23, 4), (64, 32), (97, 50)]


def test_a_reversible_loop_is_a_loop():
    """x <- a x from 1: the rows are powers of a, and the derivative of a^T is T a^(T-1)."""

    def run(a, steps, every):
        last, (rows, twice) = reverse.run(lambda x: a * x, lambda x: (x, 2 * x), jnp.ones(()), steps, every)
        return rows.sum(), (rows, twice, last)

    a = 0.97
    each = jax.jit(lambda a: [jax.value_and_grad(run, has_aux=True)(a, *loop) for loop in LOOPS])(a)
    for (steps, every), ((_, (rows, twice, last)), gradient) in zip(LOOPS, each, strict=True):
        marks = np.array(sorted({*range(0, steps, every), steps}))
        np.testing.assert_allclose(rows, a**marks, rtol=1e-5)
        np.testing.assert_allclose(twice, 2 * rows)
        np.testing.assert_allclose(last, a**steps, rtol=1e-5)
        np.testing.assert_allclose(gradient, np.sum(marks * a ** (marks - 1.0)), rtol=1e-5)


@pytest.mark.parametrize("every", [1, 1024])
def test_memory_grows_with_the_root_of_the_number_of_rounds(every):
    """A carry of 10,000 numbers, of which a round computes two more arrays."""

    def held(steps):
        one_round = lambda x, a: jnp.sin(jnp.cos(a * x) * x)
        row = lambda x: jnp.sum(jnp.sin(x))
        loss = lambda a, x: reverse.run(lambda x: one_round(x, a), row, x, steps, min(every, steps))[1].sum()
        shapes = jax.ShapeDtypeStruct((), jnp.float32), jax.ShapeDtypeStruct((10_000,), jnp.float32)
        return jax.jit(jax.grad(loss)).lower(*shapes).compile().memory_analysis().temp_size_in_bytes / 40_000

    carries = np.array([held(steps) for steps in (16, 64, 256, 1024)])
    assert carries[-1] < 2 * 32 + 12
    # What does not grow is left out.
    np.testing.assert_allclose(np.diff(np.log2(np.diff(carries))), 1, atol=0.1)


# ---- what is refused, and what is not ----------------------------------------------------------------------------


def test_a_loop_that_values_end_is_refused_by_name():
    geometric = jdl.simulation(jdl.problems.quadratic(N, DIM), SwarmSGD(geometric=True), jdl.topology.ring(N))
    sentence = r"got a loop .* in `SwarmSGD.send` \(swarm_sgd.py, line \d+\), need a number of turns .*jvp"
    with pytest.raises(InputError, match=sentence):
        jdl.differentiable(geometric)


def test_rounds_of_a_differentiable_simulation_are_known_to_simulate_alone():
    s = jdl.differentiable(jdl.simulation(jdl.problems.quadratic(N, DIM), DPSGD(), jdl.topology.ring(N)))
    with pytest.raises(InputError, match=r"`advance` of a differentiable simulation, need `jdl.simulate`"):
        simulator.advance(s, jax.eval_shape(simulator.init, s), 3)
    with pytest.raises(InputError, match=r"got rounds=5[.]0, need a whole number"):
        jdl.simulate(s, 5.0)
    with pytest.raises(InputError, match="got eval_every=0, need a whole number"):
        jdl.simulate(s, 5, 0)
    with pytest.raises(InputError, match="got a Quadratic, need a simulation"):
        jdl.differentiable(s.problem)


def turns(x, limit):
    return jax.lax.while_loop(lambda x: jnp.sum(x) < limit, lambda x: 2 * x, x)


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (lambda x: turns(x, 3.0), 1),
        (lambda x: jax.jit(turns)(x, 3.0) + jax.lax.cond(x[0] > 0, lambda: turns(x, 1.0), lambda: x), 2),
        (lambda x: jax.vmap(lambda x: turns(x, 3.0))(x), 1),
        (lambda x: jax.lax.scan(lambda c, _: (x * c, turns(c, 3.0)), jnp.ones(3), length=2)[1], 1),
        (lambda x: jax.lax.fori_loop(0, 3, lambda i, x: 2 * x, x), 0),
        (lambda x: x * turns(jnp.ones(3), 3.0), 0),  # of constants
        (lambda x: x * turns(jnp.floor(x), 3.0), 0),  # of what has the derivative zero
        (lambda x: x * jax.random.poisson(jax.random.key(0), 3.0, (3,)).astype(float), 0),
        (lambda x: x * turns(jnp.int32(x), 3).astype(float), 0),
        (lambda x: jdl.local.proximal.operator("simplex")(x, 1.0, 1.0), 0),  # a loop of decisions
        (lambda x: jdl.engine.xla.written_once(jnp.int32(0), x), 0),
    ],
)
def test_loops_that_cannot_be_reversed_are_those_that_jax_cannot_reverse(function, count):
    x = jnp.array([0.1, 0.2, 0.3])
    assert len(irreversible_loops(function, x)) == count
    backwards = lambda x: jax.vjp(function, x)[1](function(x))
    if count:
        with pytest.raises(ValueError, match="Reverse-mode"):
            jax.eval_shape(backwards, x)
    else:
        jax.eval_shape(backwards, x)


def reals(tree):
    """The arrays of real numbers of a tree, and the tree of others in their place."""
    leaves, structure = jax.tree.flatten(tree)
    leaves = [x if hasattr(x, "dtype") else jnp.asarray(x) for x in leaves]
    real = [i for i, x in enumerate(leaves) if jnp.issubdtype(x.dtype, jnp.inexact)]

    def rebuilt(others):
        new = dict(zip(real, others, strict=True))
        return structure.unflatten([new.get(i, x) for i, x in enumerate(leaves)])

    return [leaves[i] for i in real], rebuilt


def jax_reverses(s) -> bool:
    """Whether JAX goes backwards through a round, with respect to all real numbers."""
    (parts, as_parts), (state, as_state) = reals(s), reals(jax.jit(simulator.init)(s))
    one_round = lambda parts, state: reals(rounds.step(as_parts(parts), as_state(state)))[0]

    def backwards(parts, state):
        out, back = jax.vjp(one_round, parts, state)
        return back(out)

    try:
        jax.eval_shape(backwards, parts, state)
    except ValueError as error:
        assert "Reverse-mode" in str(error)
        return False
    return True


def cases():
    """Every algorithm, topology and exchange of the command line; all forms of a plan, many slots, wide sums."""
    n, ring = 16, jdl.topology.ring(16)
    problem, large = jdl.problems.quadratic(n, DIM), jdl.problems.quadratic(80, DIM)
    for name in jdl.algorithms.__all__:
        kind = getattr(jdl.algorithms, name)
        graph = None if "server" in kind().needs else jdl.topology.chain(n) if "tree" in kind().needs else ring
        yield name, (problem, kind(), graph)
    yield "geometric", (problem, SwarmSGD(geometric=True), ring)
    for kind in ("topologies", "exchanges"):
        for name in catalogue.members(kind):
            for method in (DPSGD(), FedAvg()):
                try:
                    made = catalogue.maker(kind, name)(*([n] if kind == "topologies" else []))
                    talk = made if kind == "topologies" else ring if isinstance(method, DPSGD) else None
                    parts = (problem, method, talk, [] if kind == "topologies" else [made])
                    jdl.simulation(*parts)
                except InputError:  # for another n, or another kind of method
                    continue
                yield f"{name} {type(method).__name__}", parts
    for form in ("dense", "slots", "edges", "hubs"):
        for graph in (jdl.topology.star(80), jdl.topology.random_regular(80, degree=30)):
            yield f"{form} {graph}", (large, DPSGD(), Fixed(graph.plan(form)))
    yield "trimmed", (large, DPSGD(), jdl.topology.complete(80), [TrimmedMean(2)])
    for name in (jdl.problems.digits(nodes=n), jdl.problems.logistic(nodes=n, batch_size=4)):
        yield type(name).__name__, (name, DPSGD(local_steps=2), ring)


@pytest.mark.slow
def test_what_is_refused_is_what_jax_cannot_reverse():
    refused, checked = set(), 0
    for name, parts in cases():
        s, checked = jdl.simulation(*parts), checked + 1
        try:
            jdl.differentiable(s)
        except InputError:
            refused.add(name)
        assert jax_reverses(s) == (name not in refused), name
    assert checked > 140 and refused == {"geometric"}


# ---- parts that had no derivative --------------------------------------------------------------------------------


def test_statistics_of_equal_nodes_have_the_derivative_zero():
    values = jnp.array([0.3, -1.0, 2.0])
    for honest in (None, jnp.array([True, True, False])):
        std = lambda x, honest=honest: over_nodes(x, honest)[1]
        gradient = jax.jit(jax.grad(std))
        assert gradient(jnp.ones(3)).tolist() == [0, 0, 0]
        some = np.asarray(values if honest is None else values[:2], np.float64)
        expected = np.zeros(3)
        expected[: some.size] = (some - some.mean()) / some.size / some.std()
        np.testing.assert_allclose(gradient(values), expected, rtol=1e-5)
    assert not jax.jit(jax.jacobian(distances))(jnp.ones((3, 2))).any()


def test_links_beyond_the_slots_have_derivatives(x64):
    """A star as a list of links, of which seven into the hub are added one by one, against its dense matrix."""
    n = 16
    edges = jdl.topology.star(n).plan("edges")
    draw = np.random.default_rng(0)
    own, sent, cotangent = (jnp.asarray(draw.standard_normal((n, 2))) for _ in range(3))

    def by_list(weights, own, sent):
        links = arranged(edges.links.replace(weights=weights), n)
        return jnp.vdot(by_edges(edges.replace(links=links), own, sent), cotangent), links.count

    def by_matrix(weights, own, sent):
        W = jnp.zeros((n, n)).at[edges.links.receivers, edges.links.senders].add(weights)
        return jnp.vdot(own + W @ sent - W.sum(1)[:, None] * own, cotangent), 0

    at = (edges.links.weights, own, sent)
    ours, theirs = jax.jit(lambda *at: [jax.grad(f, (0, 1, 2), has_aux=True)(*at) for f in (by_list, by_matrix)])(*at)
    assert ours[1] == n - 1 - 8
    for one, other in zip(ours[0], theirs[0], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
