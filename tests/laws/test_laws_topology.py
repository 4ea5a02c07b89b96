"""Laws on who talks, which know no topology by its name.

Every topology is held to what it claims in NumPy: each form of its plan, each graph of a cycle, each draw of a
schedule. What the engine makes of a plan does not depend on which topology it came from, so these laws are executed
once for each form of a plan and each kind of W, plain and with sleepers and losses; `test_what_the_laws_run_over` says
that no topology has a plan of another class. The slow suite executes them for every topology.
"""

import functools
import os
import typing

import cases
import jax
import jax.numpy as jnp
import networkx
import numpy as np
import plan_reading
import pytest

import jdl
from jdl import plan as plans
from jdl.checks import InputError
from jdl.command.catalogue import members
from jdl.command.choices import has_server
from jdl.engine import sim as simulator
from jdl.engine.deliveries import traffic_of
from jdl.engine.rounds import plan_at
from jdl.rng import key_of
from jdl.schedule import Cyclic, Fixed, Sleeping
from jdl.topology import Topology, forms, from_weights, weighted
from jdl.types import Edges, Plan, Wire

ROUNDS, DIM, LR = 5, 2, 0.2
ROUGH = 0.35  # probability that a node sleeps, and that a link fails
MAKE = members("topologies")
RETURNS = {
    name: typing.get_type_hints(make).get("return") for name, make in sorted(MAKE.items())
}  # a class: a schedule
STATIC = [name for name, made in RETURNS.items() if made is Topology]
CYCLES = [name for name, made in RETURNS.items() if made == list[Topology]]
# What is planned in time has rows for those alone who act, or clients of a server; `tests/theory/test_theory_waves.py`
# and `tests/theory/test_theory_asynchronous.py` execute it.
PLANNED = [name for name, make in MAKE.items() if hasattr(getattr(make, "__self__", make), "waves_per_window")]
PLANNED += [name for name in MAKE if has_server(name)]
DRAWN = [name for name in RETURNS if name not in STATIC + CYCLES + PLANNED]

# The forms of a plan, and the kinds of W: (kind, symmetric).
KINDS = {
    "symmetric": ("doubly", True),
    "directed": ("doubly", False),
    "row": ("row", False),
    "column": ("column", False),
}
CLASSES = [
    *((form, kind) for form in ("dense", "slots", "edges", "hubs") for kind in KINDS),
    ("circulant", "symmetric"),
    ("circulant", "directed"),
    ("groups", "symmetric"),
]


@functools.cache
def made(name):
    """The topology of the first of a few sizes which it accepts."""
    for n in (16, 12, 27, 32, *range(2, 64)):
        try:
            return MAKE[name](n)
        except InputError:
            continue
    raise AssertionError(f"no n up to 64 for {name}")


def form_of(plan: Plan) -> str:
    """The form of a plan, as `Topology.plan` calls it."""
    return "hubs" if isinstance(plan.links, Edges) and plan.links.levels else type(plan.links).__name__.lower()


def class_of(plan: Plan) -> tuple:
    """What decides how the engine reads a plan: its form, its promise, and whether it names who is active."""
    return form_of(plan), plan.stochastic, plan.symmetric, plan.active is not None, plan.participants is not None


@functools.cache
def graph_of(form, kind):
    """Of the graphs with 16 nodes, W of this kind and such a form, the one with the most different degrees."""
    named = [(name, weighted(made(name), kind) if kind in ("row", "column") else made(name)) for name in STATIC]
    fits = [
        (len(set(graph.degree)), name, graph) for name, graph in named
        if graph.n == 16 and (graph.stochastic, graph.symmetric) == KINDS[kind]
        and {"circulant": graph.shifts, "groups": graph.groups}.get(form, ()) is not None
    ]  # fmt: skip
    if not fits:  # of circulant graphs that are not symmetric, only some cycles have any
        fits = [(1, "turning", jdl.topology.circulant("turning", 16, (1, 5)))]
    return max(fits, key=lambda fit: fit[:2])[2]


# ---- every topology, in NumPy ------------------------------------------------------------------------------------


def graphs(name):
    """Some graphs of a topology, and one with weights of another kind."""
    first = made(name)[-2:] if name in CYCLES else [made(name)]
    return [*first, weighted(first[0], ("row", "column", "lazy")[len(name) % 3])]


def undirected(graph):
    """The links of a topology without their directions, for networkx."""
    return networkx.from_scipy_sparse_array(forms.off_diagonal(graph.weights) != 0)


def test_every_form_is_the_same_matrix():
    def check(name):
        for graph in graphs(name):
            need, is_tree = {"circulant": graph.shifts, "groups": graph.groups}, networkx.is_tree(undirected(graph))
            W, linked = graph.weights.toarray(), forms.off_diagonal(graph.weights).toarray() != 0
            for form in forms.FORMS:
                if need.get(form, ()) is not None:
                    plan = jax.device_get(graph.plan(form))
                    np.testing.assert_allclose(plan_reading.matrix(plan), W, rtol=0, atol=1e-6, err_msg=form)
                    np.testing.assert_array_equal(plan_reading.links_into(plan), linked, err_msg=form)
                    assert not (wrong := plan_reading.faults(plan, 1e-5)), (form, wrong)
                    assert (plan.stochastic, plan.symmetric) == (graph.stochastic, graph.symmetric), form
                    assert form in ("auto", form_of(plan)), form
                    assert Fixed(plan).provides == {"fixed_links", *(["tree"] if is_tree else [])}, form

    plan_reading.all_hold(check, [(name,) for name in STATIC + CYCLES])


def test_cycles_take_turns_through_their_graphs():
    """The plans that a cycle holds are its graphs in order; which of them is whose turn is a law of the engine."""

    def check(name):
        talk = Cyclic.of(made(name))
        plan = jax.device_get(talk.plans)
        expected = np.stack([phase.weights.toarray() for phase in made(name)])
        np.testing.assert_allclose(plan_reading.matrix(plan), expected, rtol=0, atol=1e-6)
        assert not (wrong := plan_reading.faults(plan, 1e-5)), wrong
        assert talk.n == expected.shape[1]

    plan_reading.all_hold(check, [(name,) for name in CYCLES])


def test_a_lazy_walk_is_half_the_walk():
    def check(name):
        graph, tail = made(name), np.random.default_rng(1).dirichlet(np.ones(made(name).n))
        for one in (graph, weighted(graph, "row"), weighted(graph, "column")):
            lazy = weighted(one, "lazy")
            np.testing.assert_allclose(lazy.weights @ tail, (tail + one.weights @ tail) / 2, rtol=0, atol=1e-15)
            assert (lazy.stochastic, lazy.symmetric, lazy.shifts) == (one.stochastic, one.symmetric, one.shifts)

    plan_reading.all_hold(check, [(name,) for name in STATIC])


# ---- every schedule, one program each -----------------------------------------------------------------------------


@functools.cache
def drawn(name):
    """Three runs of a schedule from independent keys."""
    return plan_reading.rounds(made(name), 3, jax.random.key(11), ROUNDS)


def remembers(name):
    return bool(jax.tree.leaves(drawn(name).memory))


def test_every_draw_is_what_its_plan_claims():
    def check(name):
        plan, W, _ = drawn(name)
        assert W.shape == (3, ROUNDS, made(name).n, made(name).n)
        assert not (wrong := plan_reading.faults(plan, 1e-5)), wrong
        assert len(np.unique(W.reshape(-1, W.shape[-1] ** 2), axis=0)) > 2
        assert not np.array_equal(W[0], W[1])

    plan_reading.all_hold(check, [(name,) for name in DRAWN])


@pytest.mark.slow
def test_seeds_in_one_program_are_seeds_one_by_one():
    """For schedules that remember: their memory goes its own way in each of the runs of a `vmap`."""

    def check(name):
        plan, _, memory = drawn(name)
        key = jax.random.split(jax.random.key(11), 3)[1]
        alone = jax.jit(plan_reading.run_of(made(name)))(jax.random.split(key, ROUNDS + 1))
        one = jax.tree.map(lambda leaf: leaf[1], (plan, memory))
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), one, alone)

    plan_reading.all_hold(check, [(name,) for name in DRAWN if remembers(name)])


# ---- the engine, once for each class of plans ---------------------------------------------------------------------


@functools.cache
def problem(n):
    return jdl.problems.quadratic(nodes=n, dim=DIM, condition=4.0, noise=0.0)


def start(n):
    return np.random.default_rng(5).standard_normal((n, DIM)).astype(np.float32)


def build(talk, column=False, rough=False):
    """D-PSGD over this schedule; push-sum where only columns of W sum to one."""
    algorithm = jdl.algorithms.PushSum if column else jdl.algorithms.DPSGD
    talk, network = (Sleeping(talk, ROUGH), [jdl.exchange.Lossy(ROUGH)]) if rough else (talk, [])
    return jdl.simulation(problem(talk.n), algorithm(lr=LR), talk, network, seed=3, mapping="vmap")


@functools.cache
def built_of(form, kind, rough):
    return build(Fixed(graph_of(form, kind).plan(form)), kind == "column", rough)


# Programs are many and run for a moment: optimising them would cost more than it gains.
compiled = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
)
init = compiled(simulator.init)
talk_of = compiled(lambda built: built.schedule.init(key_of(built.key, "schedule_state", 0)))
advance = compiled(lambda built, sim, until: simulator.advance(built, sim, until)[0])


@compiled
def watched(built, sim):
    """The state after one round, its plan, and what jdl says of the plan.

    The network is asked for its matrix: of `own` = I and `sent` = -I it makes the diagonal minus the rest.
    """
    plan, _ = plan_at(built, sim)
    n, eye = built.problem.n, jnp.eye(built.problem.n)
    wire = Wire(own=eye, sent=-eye, bits=jnp.ones(n, jnp.float32), plan=plan, origin=jnp.arange(n, dtype=jnp.int32))
    mixed, _, deliveries = built.exchange.apply((), wire, key_of(built.key, "exchange", sim.t, 0))
    named = plans.one_by_one(plan).links
    facts = {
        "mixed": mixed * (2 * eye - 1),
        "degree": plans.degree(plan),
        "out": plans.out_degree(plan),
        "copies": traffic_of(deliveries).messages,
        "weights": named.weights,
        "used": named.used,
        "senders": plans.senders(named),
        "receivers": plans.receivers(named),
    }
    return simulator.step(built, sim)[0], plan, facts


class Run(typing.NamedTuple):
    """The state before each round and after the last, and of each round its plan, W and what jdl says of them."""

    states: list
    plan: Plan
    W: np.ndarray
    facts: dict


def run(built, lr, x, first=0) -> Run:
    """Rounds `first`, `first + 1`, ... of a simulation."""
    built = built.replace(algorithm=built.algorithm.replace(lr=jnp.float32(lr)))
    # All that is not the schedule's is the same at the beginning for all, and so is its program.
    nobody = Fixed(jdl.topology.ring(len(x)).plan("dense"))
    begun = init(built.replace(schedule=nobody, exchange=jdl.exchange.Linear()), x)
    states, seen = [begun.replace(t=jnp.int32(first), schedule_state=talk_of(built))], []
    for _ in range(ROUNDS):
        after, *rest = watched(built, states[-1])
        states.append(after)
        seen.append(jax.device_get(rest))
    plan, facts = jax.tree.map(lambda *leaves: np.stack(leaves), *seen)
    return Run(jax.device_get(states), plan, plan_reading.matrix(plan), facts)


def the_plan_and_what_jdl_says_of_it_agree(seen: Run):
    """Degrees, copies, and the links that `jdl.plan` names one by one are those of the matrix."""
    W, facts = seen.W, seen.facts
    off = W * (1 - np.eye(W.shape[-1], dtype=W.dtype))
    assert not (wrong := plan_reading.faults(seen.plan, 1e-5)), wrong
    np.testing.assert_array_equal(facts["degree"], (off != 0).sum(axis=-1))
    np.testing.assert_array_equal(facts["out"], (off != 0).sum(axis=-2))
    np.testing.assert_array_equal(facts["copies"], facts["out"])
    np.testing.assert_array_equal(facts["used"], facts["weights"] != 0)
    again = np.zeros_like(off)
    for t in range(len(off)):
        used = facts["used"][t]
        ends = facts["receivers"][t][used], facts["senders"][t][used]
        np.add.at(again[t], ends, facts["weights"][t][used])
    np.testing.assert_allclose(again, off, rtol=0, atol=1e-7)


def the_network_multiplies_by_the_matrix_less_what_is_lost(seen: Run, rough: bool):
    plan, W, mixed = seen.plan, seen.W, seen.facts["mixed"]
    eye = np.eye(W.shape[-1])
    if plan.stochastic != "column":
        np.testing.assert_allclose(mixed.sum(axis=-1), 1, rtol=0, atol=1e-5)
    if plan.stochastic != "row":
        np.testing.assert_allclose(mixed.sum(axis=-2), 1, rtol=0, atol=1e-5)
    if plan.symmetric:
        np.testing.assert_allclose(mixed, mixed.swapaxes(-1, -2), rtol=0, atol=1e-6)
    if not rough:
        np.testing.assert_allclose(mixed, W, rtol=0, atol=1e-6)
        return
    off, asleep = W * (1 - eye), ~plan_reading.awake(plan)
    there = np.abs(mixed * (1 - eye)) > 1e-6
    np.testing.assert_allclose(mixed * (1 - eye), np.where(there, off, 0), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(mixed[asleep], np.broadcast_to(eye, mixed.shape)[asleep])
    assert 0 < asleep.sum() < asleep.size
    lost = 1 - there.sum() / max((off != 0).sum(), 1)
    assert 0 < lost < 1 or (off != 0).sum() < 10, "of what links there are, some fail and some do not"


def a_round_of_sgd_is_the_matrix_times_the_steps(built, seen: Run):
    """D-PSGD: x <- W (x - lr g(x)). Push-sum: x <- W (x - lr g(x / w)), w <- W w. Sleepers stay as they are.

    Nodes that only talk have gradients of zero.
    """
    n, pushes = built.problem.n, isinstance(built.algorithm, jdl.algorithms.PushSum)
    A, b = (np.asarray(part, np.float64) for part in (built.problem.A, built.problem.b))
    x, w, copies = start(n).astype(np.float64), np.ones(n), np.zeros(n)
    for t in range(ROUNDS):
        z, old, new = x / w[:, None], seen.states[t], seen.states[t + 1]
        works = np.ones(n, bool) if seen.plan.works is None else seen.plan.works[t]
        half = x - LR * works[:, None] * (np.einsum("nij,nj->ni", A, z) - b)
        awake = plan_reading.awake(seen.plan)[t]
        x = np.where(awake[:, None], seen.facts["mixed"][t] @ half, x)
        if pushes:
            w = np.where(awake, seen.facts["mixed"][t] @ w, w)
        found = new.nodes.x / new.nodes.w[:, None] if pushes else new.nodes.x
        np.testing.assert_allclose(found, x / w[:, None], rtol=1e-5, atol=1e-5)
        for after, before in zip(jax.tree.leaves(new.nodes), jax.tree.leaves(old.nodes), strict=True):
            np.testing.assert_array_equal(after[~awake], before[~awake])
        copies += seen.facts["out"][t]
        np.testing.assert_array_equal(new.traffic.messages[0], copies)
        np.testing.assert_array_equal(new.traffic.bits[0], 32 * (DIM + pushes) * copies)
    np.testing.assert_allclose(simulator.models(built, seen.states[-1]), x / w[:, None], rtol=1e-5, atol=1e-5)
    assert int(seen.states[-1].status) == -1


def mixing_alone_keeps_what_the_matrix_keeps(built, kind: str):
    """Columns that sum to one keep the sum over nodes; rows that do keep equal models equal, to the last bit."""
    n, x = built.problem.n, start(built.problem.n)
    seen = run(built, 0.0, x)
    end = seen.states[-1].nodes
    if kind != "column" and seen.facts["mixed"].min() >= 0:  # means of models lie between them
        assert np.all(end.x <= x.max(axis=0) + 1e-6) and np.all(end.x >= x.min(axis=0) - 1e-6)
    if kind != "row":
        np.testing.assert_allclose(np.sum(end.x, axis=0), x.sum(axis=0), rtol=0, atol=1e-5)
        assert not hasattr(end, "w") or abs(float(np.sum(end.w)) - n) < 1e-4
        heard = np.any(seen.facts["mixed"] * (1 - np.eye(n)) != 0)  # a schedule of few links may lose all of them
        assert (np.abs(end.x - x).max() > 1e-2) == heard
    if kind != "column":
        same = np.broadcast_to(np.float32([0.1, -7.3]), (n, DIM))
        np.testing.assert_array_equal(run(built, 0.0, same).states[-1].nodes.x, same)


def the_engine_keeps_its_laws(built, rough: bool) -> Run:
    """All of the above, of a simulation and of the same with another seed."""
    n = built.problem.n
    seen = run(built, LR, start(n))
    other = run(built.replace(key=jax.random.key(11)), LR, start(n))
    for one in (seen, other):
        the_plan_and_what_jdl_says_of_it_agree(one)
        the_network_multiplies_by_the_matrix_less_what_is_lost(one, rough)
    a_round_of_sgd_is_the_matrix_times_the_steps(built, seen)
    mixing_alone_keeps_what_the_matrix_keeps(built, seen.plan.stochastic)
    if rough:
        assert len(np.unique(np.stack([seen.W, other.W]).reshape(-1, n * n), axis=0)) > 2
    return seen


@functools.cache
def seen_of(form, kind, rough):
    return the_engine_keeps_its_laws(built_of(form, kind, rough), rough)


# Sleepers and losses read a plan by its form (who sends on a link) and by its kind (where lost weight goes). Each form
# meets two kinds and each kind two forms, of which a third is drawn. Of the classes without sleepers and losses half is
# drawn: each form with half of its kinds, and each kind with half of the forms. The slow suite runs the others.
BOTH = [("dense", kind) for kind in KINDS] + [case for case in CLASSES if case[0] in ("circulant", "groups")]
BOTH += [("slots", "symmetric"), ("slots", "column"), ("edges", "row"), ("edges", "column")]
BOTH += [("hubs", "symmetric"), ("hubs", "directed")]
SEED = int(os.environ["JDL_TEST_SEED"])
DRAWN_BOTH = BOTH[SEED % 3 :: 3]
FORMS, NAMES = list(dict.fromkeys(form for form, _ in CLASSES)), list(KINDS)
PLAIN = [(form, kind) for form, kind in CLASSES if (FORMS.index(form) + NAMES.index(kind) + SEED) % 2 == 0]
PLAIN += [("groups", "symmetric")]  # the only one of its form
SLOW = pytest.mark.slow
ENGINE = [pytest.param(*case, False, marks=[] if case in PLAIN else [SLOW]) for case in CLASSES]
ENGINE += [pytest.param(*case, True, marks=[] if case in DRAWN_BOTH else [SLOW]) for case in CLASSES]


@pytest.mark.parametrize(("form", "kind", "rough"), ENGINE)
def test_the_engine_keeps_its_laws_on_each_class_of_plans(form, kind, rough):
    seen, W = seen_of(form, kind, rough), graph_of(form, kind).weights.toarray()
    assert rough or (form_of(seen.plan), seen.plan.stochastic, seen.plan.symmetric) == (form, *KINDS[kind])
    if not rough:  # the same plan in every round
        np.testing.assert_allclose(seen.W, np.broadcast_to(W, seen.W.shape), rtol=0, atol=1e-6)
        return
    # What sleepers leave of W; what they take is added to the diagonal, by rows or by columns.
    there = plan_reading.awake(seen.plan)
    off = (~np.eye(16, dtype=bool)) & there[:, :, None] & there[:, None, :]
    np.testing.assert_allclose(seen.W * ~np.eye(16, dtype=bool), W * off, rtol=0, atol=1e-6)


LABELLED = [case for case in CLASSES if case[1] != "column"]


@pytest.mark.parametrize(
    ("form", "kind"),
    [pytest.param(*case, marks=[] if case in PLAIN else [SLOW]) for case in LABELLED],
)
def test_other_labels_are_other_labels(form, kind):
    """The graph with its nodes renamed, given as a dense matrix, is the graph in its own form."""
    graph, seen, x = graph_of(form, kind), seen_of(form, kind, False), start(16)
    order = np.random.default_rng(2).permutation(16)
    renamed = from_weights(graph.weights.toarray()[order][:, order], stochastic=graph.stochastic)
    parts = problem(16).replace(A=problem(16).A[order], b=problem(16).b[order])
    built = built_of("dense", kind, False).replace(problem=parts, schedule=Fixed(renamed.plan("dense")))
    end = run(built, LR, x[order]).states[-1]
    np.testing.assert_allclose(end.nodes.x, seen.states[-1].nodes.x[order], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(end.traffic.messages[0], seen.states[-1].traffic.messages[0][order])


def one_of_each(names, class_of_name):
    """The first of the names of each class; of cycles and schedules, whose plans change from round to round."""
    found = {}
    for name in names:
        found.setdefault(class_of_name(name), name)
    return list(found.values())


@functools.cache
def cycle(name):
    return Cyclic.of(made(name))


def test_rounds_take_turns_through_the_graphs():
    """From the first round, and past the end of a period, for each form that the plans of a cycle take."""

    def check(name, rough):
        built, period = build(cycle(name), rough=rough), made(name)
        seen = the_engine_keeps_its_laws(built, rough)
        if not rough:
            for first in (0, max(len(period) - 2, 0)):
                W = (run(built, LR, start(built.problem.n), first) if first else seen).W
                expected = np.stack([period[(first + t) % len(period)].weights.toarray() for t in range(ROUNDS)])
                np.testing.assert_allclose(W, expected, rtol=0, atol=1e-6)

    names = one_of_each(CYCLES, lambda name: class_of(cycle(name).plans))
    plan_reading.all_hold(check, [(name, False) for name in names] + [(names[0], True)])


def drawn_classes():
    """One schedule of each class of plans, one that remembers where there is one."""
    return one_of_each(sorted(DRAWN, key=lambda name: not remembers(name)), lambda name: class_of(drawn(name).plan))


def test_the_engine_keeps_its_laws_on_plans_that_are_drawn():
    def check(name, rough):
        seen = the_engine_keeps_its_laws(build(made(name), rough=rough), rough)
        usual = plan_reading.awake(drawn(name).plan).sum(axis=-1).max()
        assert plan_reading.awake(seen.plan).sum(axis=-1).max() <= usual  # nobody is awake who would sleep anyway
        assert len(np.unique(seen.W.reshape(ROUNDS, -1), axis=0)) > 1

    tried = {(form, *KINDS[kind], False, False) for form, kind in CLASSES}
    new = [name for name in drawn_classes() if class_of(drawn(name).plan) not in tried]
    found = {class_of(drawn(name).plan) for name in new}  # `tests/unit/schedule/test_schedule_run.py` counts on these
    assert found >= {("slots", "doubly", True, True, False), ("edges", "row", False, True, False)}
    names = list(dict.fromkeys([*new, richest()]))  # sleepers and losses on top: in one of them
    plan_reading.all_hold(check, [*((name, False) for name in names), (names[SEED % len(names)], True)])


def test_what_the_laws_run_over():
    """A law over nothing would pass too; and every plan of a topology is of a class on which the engine was tried."""
    assert len(STATIC) > 20 and len(CYCLES) > 5 and len(DRAWN) > 5
    tried = {(form, *KINDS[kind], False, False) for form, kind in CLASSES}
    for name in STATIC:
        for graph in (made(name), weighted(made(name), "row"), weighted(made(name), "column")):
            assert class_of(graph.plan()) in tried, name
    for name in CYCLES:
        assert class_of(cycle(name).plans) in tried, name
    assert {class_of(drawn(name).plan) for name in drawn_classes()} == {class_of(drawn(name).plan) for name in DRAWN}
    assert any(class_of(drawn(name).plan)[3] for name in DRAWN) and any(remembers(name) for name in DRAWN)


# ---- every topology in the engine, in the slow suite --------------------------------------------------------------


def column_only(name):
    """Whether senders that split evenly are not heard evenly on this graph, so that only columns of W sum to one."""
    return name in STATIC and weighted(made(name), "column").stochastic == "column"


@pytest.mark.slow
@pytest.mark.parametrize("column", [False, True], ids=["", "column"])
@pytest.mark.parametrize("rough", [False, True], ids=["plain", "rough"])
@pytest.mark.parametrize("topology", RETURNS)
def test_the_engine_keeps_its_laws_on_every_topology(topology, rough, column):
    if column and not column_only(topology):
        pytest.skip("its W is doubly stochastic however senders split, or it is no one graph")
    graph = weighted(made(topology), "column") if column else made(topology)
    talk = cycle(topology) if topology in CYCLES else graph if topology in DRAWN else Fixed(graph.plan())
    the_engine_keeps_its_laws(build(talk, column, rough), rough)


# ---- memory ------------------------------------------------------------------------------------------------------


def richest():
    """Of the schedules that remember, the one whose memory has most leaves."""
    return max(DRAWN, key=lambda name: len(jax.tree.leaves(drawn(name).memory)))


def in_parts(built):
    """A run in parts is the run, to the last bit, and near to its rounds as separate programs."""
    first = init(built, start(built.problem.n))
    whole = advance(built, first, jnp.int32(ROUNDS))
    for t in (1, 3):
        assert cases.equal_bits(advance(built, advance(built, first, jnp.int32(t)), jnp.int32(ROUNDS)), whole)
    one_by_one = run(built, LR, start(built.problem.n)).states[-1]
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), whole, one_by_one)


def test_a_run_in_parts_is_the_run():
    in_parts(build(cycle(CYCLES[0])))
    in_parts(build(made(richest()), rough=True))


@pytest.mark.slow
@pytest.mark.parametrize("topology", DRAWN)
def test_a_run_in_parts_is_the_run_for_every_schedule(topology):
    in_parts(build(made(topology)))


def test_runs_of_many_seeds_in_one_program_are_runs_one_by_one():
    """The engine carries the memory of a schedule through `vmap`, as it carries the state of the nodes."""
    built, keys = build(made(richest())), jax.random.split(jax.random.key(8), 2)
    x = start(built.problem.n)

    @compiled
    @jax.vmap
    def many(key):
        alone = built.replace(key=key)
        return simulator.advance(alone, simulator.init(alone, x), ROUNDS)[0]

    together, ends = many(keys), []
    for i, key in enumerate(keys):
        end, one = run(built.replace(key=key), LR, x).states[-1], jax.tree.map(lambda leaf, i=i: leaf[i], together)
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), one, end)
        assert cases.equal_bits((one.t, one.traffic), (end.t, end.traffic))
        ends.append(end.nodes.x)
    assert not np.array_equal(*ends)


def test_a_schedule_goes_on_from_its_checkpoint(tmp_path):
    """Of the schedules that remember, the one whose memory has most leaves: stopped half way and resumed."""
    name = richest()
    n = made(name).n
    parts = {"problem": problem(n), "algorithm": jdl.algorithms.DPSGD(lr=LR), "topology": made(name), "progress": False}
    parts |= {"rounds": 2 * ROUNDS, "eval_every": ROUNDS, "checkpoint_every": ROUNDS, "mapping": "vmap"}
    whole = jdl.run(**parts, run_dir=tmp_path / "run")
    last = tmp_path / "run" / "checkpoint" / str(2 * ROUNDS)
    assert last.is_dir()
    last.rename(tmp_path / "away")
    again = jdl.run(**parts, run_dir=tmp_path / "run", resume=True)
    assert cases.equal_bits(again.sim, whole.sim) and int(again.sim.t) == 2 * ROUNDS
    assert not cases.equal_bits(whole.sim.schedule_state, simulator.init(whole.simulation).schedule_state)
