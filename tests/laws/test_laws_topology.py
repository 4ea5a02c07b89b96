"""Laws on who talks: every topology of the command line, plain, with weights for push-sum, with sleepers and losses.

Nothing here knows a topology by its name.
"""

import functools

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import plan as plans
from jdl.checks import InputError
from jdl.command.catalogue import members
from jdl.engine import sim as simulator
from jdl.engine.rounds import plan_at
from jdl.rng import key_of
from jdl.schedule import Fixed, cyclic, sleeping
from jdl.topology import Topology, forms, from_weights, to_dense, weighted
from jdl.types import Circulant, Dense, Groups, Slots, Wire

ROUNDS, DIM, LR, RUNS = 5, 2, 0.2, 2
ROUGH = 0.35  # probability that a node sleeps, and that a link fails
TOPOLOGIES = sorted(members("topologies"))


@functools.cache
def made(name):
    """The topology of the first of a few sizes which it accepts."""
    for n in (16, 12, 27, 32, *range(2, 64)):
        try:
            return members("topologies")[name](n)
        except InputError:
            continue
    raise AssertionError(f"no n up to 64 for {name}")


STATIC = [name for name in TOPOLOGIES if isinstance(made(name), Topology)]
CYCLES = [name for name in TOPOLOGIES if isinstance(made(name), list)]
DRAWN = [name for name in TOPOLOGIES if name not in STATIC + CYCLES]
# Graphs on which senders that split evenly are not heard evenly, so that only columns of W sum to one.
# They all have one size, and so one program.
COLUMN = [name for name in STATIC if made(name).n == 16 and weighted(made(name), "column").stochastic == "column"]
CASES = [
    *((name, "plain") for name in TOPOLOGIES),
    *((name, "rough") for name in TOPOLOGIES),
    *((name, how) for name in COLUMN for how in ("column", "rough column")),
]
EVERY = pytest.mark.parametrize(("name", "how"), CASES)


@functools.cache
def kind_of(name):
    """What two topologies share that are laid out alike: how they change, their form, and what they promise."""
    talk = cyclic(made(name)) if name in CYCLES else Fixed(made(name).plan())
    plan = talk.plans if name in CYCLES else talk.plan
    return type(talk), type(plan.links), plan.symmetric


def schedule(name, how):
    given = weighted(made(name), "column") if "column" in how else made(name)
    if name not in DRAWN:
        # In its own form. Beyond plain rounds, all but one of a kind share the programs of a dense matrix.
        own = how == "plain" or name == next(one for one in STATIC + CYCLES if kind_of(one) == kind_of(name))
        graph = given[-1] if name in CYCLES else given
        given = cyclic(given) if own and name in CYCLES else Fixed(graph.plan("auto" if own else "dense"))
    return sleeping(given, ROUGH) if "rough" in how else given


@functools.cache
def problem(n):
    return jdl.problems.quadratic(nodes=n, dim=DIM, condition=4.0, noise=0.0)


@functools.cache
def build(name, how="plain"):
    algorithm = jdl.algorithms.PushSum if "column" in how else jdl.algorithms.DPSGD
    talk, network = schedule(name, how), [jdl.exchange.lossy(ROUGH)] if "rough" in how else []
    return jdl.simulation(problem(talk.n), algorithm(lr=LR), talk, network, seed=3, mapping="vmap")


def start(n):
    return np.random.default_rng(5).standard_normal((n, DIM)).astype(np.float32)


# Programs are many and run for a moment: optimising them would cost more than it gains.
compiled = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
)
init = compiled(simulator.init)


def _watched(built, sim):
    """The state after one round, and what is to be seen of it: its plan, W, what `jdl.plan` says of its links.

    The network is asked for its matrix: of `own` = I and `sent` = -I it makes the diagonal minus the rest.
    """
    plan, _ = plan_at(built, sim.schedule_state, sim.t)
    n, eye = built.problem.n, jnp.eye(built.problem.n)
    wire = Wire(own=eye, sent=-eye, bits=jnp.ones(n, jnp.float32), plan=plan)
    mixed, _, traffic = built.exchange.apply((), wire, key_of(built.key, "exchange", sim.t, 0))
    named = plans.one_by_one(plan).links
    facts = {
        "W": to_dense(plan),
        "mixed": mixed * (2 * eye - 1),
        "awake": jnp.ones(n, bool) if plan.active is None else plan.active,
        "self": plan.self_weights,
        "degree": plans.degree(plan),
        "out": plans.out_degree(plan),
        "copies": traffic.messages,
        "weights": named.weights,
        "used": named.used,
        "senders": plans.senders(named),
        "receivers": plans.receivers(named),
    }
    return simulator.step(built, sim)[0], plan, facts


watched = compiled(_watched)


def begun(built, x):
    """The state before the first round; all that is not the schedule's is the same for all, and so is its program."""
    nobody = Fixed(jdl.topology.ring(len(x)).plan("dense"))
    return init(built.replace(schedule=nobody, exchange=jdl.exchange.linear(), reads_as=None), x)


advance = compiled(lambda built, sim, until: simulator.advance(built, sim, until)[0])


def run(built, lr, x, first=0):
    """The state before each round and after the last, a plan, and the facts of each round, `[ROUNDS, ...]`."""
    built = built.replace(algorithm=built.algorithm.replace(lr=jnp.float32(lr)))
    talk = built.schedule.init(key_of(built.key, "schedule_state", 0))
    states, plan, found = [begun(built, x).replace(t=jnp.int32(first), talk=talk)], None, []
    for _ in range(ROUNDS):
        after, plan, facts = watched(built, states[-1])
        states.append(after)
        found.append(jax.device_get(facts))
    return states, plan, jax.tree.map(lambda *leaves: np.stack(leaves), *found)


@functools.cache
def states(name, how, lr=LR):
    built = build(name, how)
    return run(built, lr, start(built.problem.n))[0]


@functools.cache
def rounds(name, how, first=0):
    """A plan, and the facts of the rounds from `first` on, `[RUNS, ROUNDS, ...]`: of `build`, and of other seeds."""
    built = build(name, how)
    keys = [built.key, *jax.random.split(jax.random.key(11), RUNS - 1)]
    many = [run(built.replace(key=key), LR, start(built.problem.n), first)[1:] for key in keys]
    return many[0][0], jax.tree.map(lambda *leaves: np.stack(leaves), *(facts for _, facts in many))


def sums_to_one(matrix, kind, atol=1e-5):
    if kind in ("doubly", "row"):
        np.testing.assert_allclose(matrix.sum(axis=-1), 1, rtol=0, atol=atol)
    if kind in ("doubly", "column"):
        np.testing.assert_allclose(matrix.sum(axis=-2), 1, rtol=0, atol=atol)


def shape_of_plan(name, how):
    """The plan of round 0 without its numbers, which costs no compilation."""
    built = build(name, how)
    return jax.eval_shape(
        lambda s: plan_at(s, s.schedule.init(key_of(s.key, "schedule_state", 0)), jnp.int32(0))[0], built
    )


def test_what_the_laws_run_over():
    """A law over nothing would pass too."""
    assert len(STATIC) > 20 and len(CYCLES) > 5 and len(DRAWN) > 5 and len(COLUMN) > 5
    kinds = {type(plans.one_by_one(build(*case).schedule.plan).links) for case in CASES if case[0] in STATIC
             and case[1] == "plain"}  # fmt: skip
    assert {Circulant, Dense, Slots} <= kinds
    plans_of = [shape_of_plan(*case) for case in CASES]
    assert any(isinstance(plan.links, Groups) for plan in plans_of)
    assert {plan.stochastic for plan in plans_of} == {"doubly", "row", "column"}


@EVERY
def test_a_plan_is_what_it_claims(name, how):
    plan, facts = rounds(name, how)
    sums_to_one(facts["W"], plan.stochastic)
    if plan.symmetric:
        np.testing.assert_allclose(facts["W"], facts["W"].swapaxes(-1, -2), rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.diagonal(facts["W"], axis1=-2, axis2=-1), facts["self"], rtol=0, atol=1e-6)
    asleep, eye = ~facts["awake"], np.broadcast_to(np.eye(facts["W"].shape[-1]), facts["W"].shape)
    np.testing.assert_array_equal(facts["W"][asleep], eye[asleep])
    np.testing.assert_array_equal(facts["W"].swapaxes(-1, -2)[asleep], eye[asleep])
    assert ("rough" in how) <= (0 < asleep.sum())
    if how == "rough":  # nobody is awake who would sleep anyway
        usual = rounds(name, "plain")[1]["awake"].sum(axis=-1).max()
        assert facts["awake"].sum(axis=-1).max() <= usual
    if name in DRAWN or "rough" in how:
        assert len(np.unique(facts["W"].reshape(-1, eye[0, 0].size), axis=0)) > 2


@EVERY
def test_degrees_and_named_links_are_those_of_the_matrix(name, how):
    _, facts = rounds(name, how)
    n = facts["W"].shape[-1]
    off = facts["W"] * (1 - np.eye(n))
    linked = off != 0
    np.testing.assert_array_equal(facts["degree"], linked.sum(axis=-1))
    np.testing.assert_array_equal(facts["out"], linked.sum(axis=-2))
    np.testing.assert_array_equal(facts["copies"], facts["out"])
    np.testing.assert_array_equal(facts["used"], facts["weights"] != 0)
    # The links one by one, as senders and receivers name them, are the matrix.
    again = np.zeros_like(off)
    for run, t in np.ndindex(off.shape[:2]):
        ends = facts["receivers"][run, t], facts["senders"][run, t]
        np.add.at(again[run, t], tuple(end[facts["used"][run, t]] for end in ends), 
                  facts["weights"][run, t][facts["used"][run, t]])  # fmt: skip
    np.testing.assert_allclose(again, off, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", STATIC + CYCLES)
def test_rounds_take_turns_through_the_graphs(name):
    period = made(name) if name in CYCLES else [made(name)]
    for first in (0, max(len(period) - 2, 0)):
        W = rounds(name, "plain", first)[1]["W"]
        for t in range(ROUNDS):
            expected = period[(first + t) % len(period)].weights.toarray()
            np.testing.assert_allclose(W[:, t], np.broadcast_to(expected, W[:, t].shape), rtol=0, atol=1e-6)


@EVERY
def test_a_network_multiplies_by_the_matrix_less_what_is_lost(name, how):
    plan, facts = rounds(name, how)
    n = facts["W"].shape[-1]
    eye, off = np.eye(n), facts["W"] * (1 - np.eye(n))
    mixed = facts["mixed"]
    sums_to_one(mixed, plan.stochastic)
    if plan.symmetric:
        np.testing.assert_allclose(mixed, mixed.swapaxes(-1, -2), rtol=0, atol=1e-6)
    if "rough" not in how:
        np.testing.assert_allclose(mixed, facts["W"], rtol=0, atol=1e-6)
        return
    there = np.abs(mixed * (1 - eye)) > 1e-6
    np.testing.assert_allclose(mixed * (1 - eye), np.where(there, off, 0), rtol=0, atol=1e-6)
    assert there.sum() < (off != 0).sum() or plan.active is not None
    np.testing.assert_array_equal(mixed[~facts["awake"]], np.broadcast_to(eye, mixed.shape)[~facts["awake"]])


@EVERY
def test_a_round_of_sgd_is_the_matrix_times_the_steps(name, how):
    """D-PSGD: x <- W (x - lr g(x)). Push-sum: x <- W (x - lr g(x / w)), w <- W w. Sleepers stay as they are."""
    built, found = build(name, how), states(name, how)
    n, facts = built.problem.n, {key: value[0] for key, value in rounds(name, how)[1].items()}
    A, b = (np.asarray(part, np.float64) for part in (built.problem.A, built.problem.b))
    x, w, copies = start(n).astype(np.float64), np.ones(n), np.zeros(n)
    for t in range(ROUNDS):
        z = x / w[:, None]
        half = x - LR * (np.einsum("nij,nj->ni", A, z) - b)
        awake = facts["awake"][t]
        x = np.where(awake[:, None], facts["mixed"][t] @ half, x)
        if "column" in how:
            w = np.where(awake, facts["mixed"][t] @ w, w)
        nodes, before = found[t + 1].nodes, found[t].nodes
        np.testing.assert_allclose(simulator.models(built, found[t + 1]), x / w[:, None], rtol=1e-5, atol=1e-5)
        for new, old in zip(jax.tree.leaves(nodes), jax.tree.leaves(before), strict=True):
            np.testing.assert_array_equal(new[~awake], old[~awake])
        copies += facts["out"][t]
        np.testing.assert_array_equal(found[t + 1].traffic.messages[0], copies)
        numbers = DIM + ("column" in how)
        np.testing.assert_array_equal(found[t + 1].traffic.bits[0], 32 * numbers * copies)
    assert int(found[-1].status) == -1


@EVERY
def test_mixing_alone_keeps_what_the_matrix_keeps(name, how):
    """Columns that sum to one keep the sum over nodes; rows that do keep equal models equal, to the last bit."""
    plan, _ = rounds(name, how)
    built = build(name, how)
    n, x = built.problem.n, start(built.problem.n)
    if plan.stochastic != "row":
        end = states(name, how, 0.0)[-1].nodes
        np.testing.assert_allclose(end.x.sum(axis=0), x.sum(axis=0), rtol=0, atol=1e-5)
        assert "column" not in how or abs(float(end.w.sum()) - n) < 1e-4
        assert np.abs(end.x - x).max() > 1e-2
    if plan.stochastic != "column":
        same = np.broadcast_to(np.float32([0.1, -7.3]), (n, DIM))
        np.testing.assert_array_equal(run(built, 0.0, same)[0][-1].nodes.x, same)


def graphs(name):
    """Some graphs of a topology, and one with weights of another kind."""
    first = made(name)[-2:] if name in CYCLES else [made(name)]
    return [*first, weighted(first[0], ("row", "column", "lazy")[len(name) % 3])]


@pytest.mark.parametrize("name", STATIC + CYCLES)
def test_every_form_is_the_same_matrix(name):
    for graph in graphs(name):
        need = {"circulant": graph.shifts, "groups": graph.groups}
        for form in forms.FORMS:
            if need.get(form, ()) is not None:
                plan = graph.plan(form)
                links, matrix = plans.one_by_one(plan).links, np.diag(np.asarray(plan.self_weights))
                np.add.at(matrix, (plans.receivers(links), plans.senders(links)), links.weights)
                np.testing.assert_allclose(matrix, graph.weights.toarray(), rtol=0, atol=1e-6)
                np.testing.assert_array_equal(links.used, links.weights != 0)
                assert (plan.stochastic, plan.symmetric) == (graph.stochastic, graph.symmetric)


@pytest.mark.parametrize("name", STATIC)
def test_a_lazy_walk_is_half_the_walk(name):
    graph, tail = made(name), np.random.default_rng(1).dirichlet(np.ones(made(name).n))
    for one in (graph, weighted(graph, "row"), weighted(graph, "column")):
        lazy = weighted(one, "lazy")
        np.testing.assert_allclose(lazy.weights @ tail, (tail + one.weights @ tail) / 2, rtol=0, atol=1e-15)
        assert (lazy.stochastic, lazy.symmetric, lazy.shifts) == (one.stochastic, one.symmetric, one.shifts)


@pytest.mark.parametrize("name", STATIC)
def test_other_labels_are_other_labels(name):
    """The graph with its nodes renamed, given as a dense matrix, is the graph in the form that it chose."""
    graph, found = made(name), states(name, "plain")
    order = np.random.default_rng(2).permutation(graph.n)
    built, x = build(name), start(graph.n)
    data = built.problem.replace(A=built.problem.A[order], b=built.problem.b[order])
    renamed = from_weights(graph.weights.toarray()[order][:, order], kind=graph.stochastic)
    other = jdl.simulation(data, jdl.algorithms.DPSGD(lr=LR), Fixed(renamed.plan("dense")), mapping="vmap")
    end = run(other, LR, x[order])[0][-1]
    np.testing.assert_allclose(end.nodes.x, found[-1].nodes.x[order], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(end.traffic.messages[0], found[-1].traffic.messages[0][order])


def remembers(name):
    return bool(jax.tree.leaves(jax.eval_shape(schedule(name, "plain").init, jax.random.key(0))))


MEMORY = [name for name in DRAWN if remembers(name)]


@pytest.mark.parametrize(
    ("name", "how"),
    [*((name, "plain") for name in [STATIC[0], CYCLES[0], DRAWN[0], *MEMORY]), (MEMORY[0], "rough")],
)
def test_a_run_in_parts_is_the_run(name, how):
    built = build(name, how)
    first = init(built, start(built.problem.n))
    whole = advance(built, first, jnp.int32(ROUNDS))
    for t in (1, 3):
        assert cases.equal_bits(advance(built, advance(built, first, jnp.int32(t)), jnp.int32(ROUNDS)), whole)
    one_by_one = states(name, how)[-1]
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), whole, one_by_one)


@pytest.mark.parametrize("name", MEMORY)
def test_seeds_in_one_program_are_seeds_one_by_one(name):
    built, x = build(name), start(build(name).problem.n)
    keys = jax.random.split(jax.random.key(8), 3)

    @compiled
    @jax.vmap
    def many(key):
        alone = built.replace(key=key)
        return simulator.advance(alone, simulator.init(alone, x), ROUNDS)[0]

    together = many(keys)
    ends = []
    for i, key in enumerate(keys):
        alone = built.replace(key=key)
        end = run(alone, LR, x)[0][-1]
        one = jax.tree.map(lambda leaf, i=i: leaf[i], together)
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), one, end)
        for part in ("t", "traffic"):
            assert cases.equal_bits(getattr(one, part), getattr(end, part))
        ends.append(np.asarray(end.nodes.x))
    assert len({end.tobytes() for end in ends}) == len(keys)


def test_a_schedule_goes_on_from_its_checkpoint(tmp_path):
    """Of the schedules that remember, the one whose memory has most leaves: stopped half way and resumed."""
    name = max(MEMORY, key=lambda name: len(jax.tree.leaves(states(name, "plain")[0].schedule_state)))
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
