"""The simulation, `init` to `simulate`: pure functions of a `Simulation`, and one compiled loop."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from jdl import checks, tree
from jdl import plan as plans
from jdl.engine import clock as clocks
from jdl.engine import metrics, reverse
from jdl.engine.mapping import AT_ONCE
from jdl.engine.messages import content_and_bits, content_of
from jdl.engine.nodes import each_node, rows_of
from jdl.engine.phases import sends_of
from jdl.engine.planned import check_planned
from jdl.engine.rounds import plan_at, step, wires
from jdl.engine.sampled import sampled_nodes
from jdl.engine.seeing import mean_of, unseen
from jdl.engine.state import RunState, Simulation
from jdl.engine.wiring import as_real
from jdl.rng import key_of
from jdl.types import Exchange, Info, Message, Plan, PyTree, Server, Traffic

__all__ = [
    "RunState",
    "Simulation",
    "advance",
    "evaluate",
    "init",
    "models",
    "simulate",
    "step",
    "wires",
    "with_reports",
]


# Columns of a history, which are neither metrics nor reports.
TAKEN = frozenset({"round", "seconds", "bits_sent", "messages_sent", "megabytes", metrics.EVALUATED})
TAKEN |= {*clocks.COLUMNS}

# Kept between calls, so that a round of given shapes is traced once in a process; in a larger program it is inlined.
STEP = jax.jit(step, inline=True)


def init(simulation: Simulation, params: PyTree | None = None) -> RunState:
    """The state before the first round.

    Args:
      simulation: what is simulated.
      params: the first model of all nodes; or one model for each node, stacked `[n, ...]`; by default one model that
        `problem.init` draws, the same for all nodes.

    Raises:
      InputError: if `params` has another structure or other shapes than the problem's model.
    """
    s, n = simulation, simulation.problem.n
    fresh = s.problem.init(key_of(s.key, "init", 0))
    params = fresh if params is None else _start(params, fresh, n, s.has_server)
    state = before_nodes(s)
    rows = rows_of(s, _everybody(plan_at(s, state)[0], n), state)
    if s.has_server:
        nodes = each_node(s, "client_init", "client_init", rows, told=params)
        server = s.algorithm.init(params, n)
    else:
        starts = jax.tree.map(lambda p, like: jnp.broadcast_to(p, (n, *like.shape)), params, fresh)
        nodes = each_node(s, "init", "init", rows, starts)
        server = ()
    exchange_state = tuple(_memory(s.exchange, message) for message in _sent(s, rows, nodes, server))
    down_state = () if s.exchange_down is None else tuple(_memory(s.exchange_down, down) for down in _downs(s, server))
    parts = {"nodes": nodes, "server": server, "exchange_state": exchange_state, "down_state": down_state}
    return state.replace(**parts, clock=clocks.started(s))


def before_nodes(s: Simulation) -> RunState:
    """The state before the first round without what nodes, a server, exchanges and clocks hold."""
    schedule_state, seen = s.schedule.init(key_of(s.key, "schedule_state", 0)), unseen(s)
    zero, n = jnp.zeros((2, s.problem.n + s.has_server), jnp.float32), s.problem.n
    traffic, count = Traffic(bits=zero, messages=zero), jnp.zeros(n, jnp.int32)
    oracle_state, none = s.oracle.init(s.problem, key_of(s.key, "oracle", 0)), jnp.int32(-1)
    return RunState(jnp.int32(0), (), (), (), (), schedule_state, oracle_state, seen, count, traffic, none)


def first_messages(s: Simulation) -> tuple[list[Message], list[Message]]:
    """What nodes send in each exchange of a round, M[n], and what a server sends before it, M[1]; shapes only."""

    def both(s):
        state = INIT(s)
        rows = rows_of(s, _everybody(plan_at(s, state)[0], s.problem.n), state)
        return _sent(s, rows, state.nodes, state.server), _downs(s, state.server)

    return jax.eval_shape(both, s)


def _sent(s: Simulation, rows: dict, nodes: PyTree, server: PyTree) -> list[Message]:
    """What nodes send in each exchange of a round, shapes only."""
    s = s.replace(placement=AT_ONCE)  # a loop over nodes has nothing to name here
    messages = lambda send: content_and_bits(send(s, rows, nodes, server)[0])[0]
    return [jax.eval_shape(functools.partial(messages, send)) for send in sends_of(s)]


def _memory(exchange: Exchange, message: Message) -> PyTree:
    """What an exchange remembers before the first round; () for a message without arrays, which it never sees."""
    return exchange.init(tree.zeros_like(message)) if jax.tree.leaves(message) else ()


def _downs(s: Simulation, server: PyTree) -> list[Message]:
    """The messages of a server in each exchange of a round, with an axis of one row."""
    return [
        as_real(jax.tree.map(lambda x: x[None], content_of(getattr(s.algorithm, phase[0])(server))))
        for phase in (s.algorithm.phases if s.has_server else ())
    ]


INIT = jax.jit(init, inline=True)


def advance(simulation: Simulation, sim: RunState, until: int | jax.Array, halt: bool = False) -> tuple[RunState, Info]:
    """Simulate rounds until `until` of them are done. `until` is traced, so that one program serves any number.

    Args:
      simulation: what is simulated.
      sim: the state from which to go on.
      until: i32[], the number of rounds after which to stop.
      halt: whether to stop after a round in which a number is no longer finite. Under `vmap` this costs a pass over the
        state in each round.

    Returns:
      The new state, and the mean of each number that nodes reported in the last round, over those that took part; NaN
      before the first round.

    Raises:
      InputError: if the simulation is differentiable; its number of rounds is known to `simulate` alone.
    """
    need = "need `jdl.simulate`, which knows the number of rounds; or advance the plain simulation"
    checks.require(not simulation.reversible, f"got `advance` of a differentiable simulation, {need}")
    blank = _no_reports(simulation, sim)
    until = jnp.asarray(until, jnp.int32)

    def going(carry):
        more = carry[0].t < until
        return more & (carry[0].status < 0) if halt else more

    def body(carry):
        sim, reports = STEP(simulation, carry[0])
        return sim, mean_of(reports)

    return jax.lax.while_loop(going, body, (sim, blank))


def _no_reports(s: Simulation, sim: RunState) -> Info:
    """The means of what nodes report, before the first round: NaN."""
    info = jax.eval_shape(lambda: mean_of(STEP(s, sim)[1]))
    return jax.tree.map(lambda x: jnp.full((), jnp.nan, x.dtype), info)


def models(simulation: Simulation, sim: RunState) -> PyTree:
    """The models to evaluate, stacked: one for each node, `[n, ...]`.

    With a server, they are the clients' personal models, or, if the method has none, the server's model `[1, ...]`.
    """
    algorithm = simulation.algorithm
    if not simulation.has_server:
        return jax.vmap(algorithm.model)(sim.nodes)
    if not hasattr(algorithm, "personal"):
        return jax.tree.map(lambda x: x[None], algorithm.model(sim.server))
    if not jax.tree.leaves(sim.nodes):  # clients that remember nothing are served alike
        return jax.tree.map(lambda x: x[None], algorithm.personal(sim.server, sim.nodes))
    return jax.vmap(lambda client: algorithm.personal(sim.server, client))(sim.nodes)


def evaluate(simulation: Simulation, sim: RunState, nodes: int | None = None) -> dict[str, jax.Array]:
    """The metrics of a state, by name; see `jdl.metrics.measure` and `jdl.metrics.users`.

    Args:
      simulation: what is simulated; its `metrics` say what is measured beside the built-in ones.
      sim: the state.
      nodes: the number of nodes whose models are evaluated, a sample that the key of the simulation draws once for all
        rounds; None for all. The mean model, the consensus distance and the user's metrics are those of all nodes.

    Returns:
      Numbers f[]; and f[n] under names that begin with "nodes/". The bits that each node has sent are rounded to
      float32; `jdl.run` keeps the exact ones, see `jdl.engine.totals.exact`. Where there are such metrics of every
      node, and no server, "nodes/degree" is the number of links into each node in the next round.
    """
    s, chosen, stacked = simulation, simulation.metrics, models(simulation, sim)
    honest = s.who.honest if chosen.honest_only else None
    sample = None if nodes is None else sampled_nodes(s.key, s.problem.n, nodes, honest)
    kept = chosen.per_node or ()
    what = {"honest": honest, "own": chosen.own, "sample": sample, "per_node": kept}
    row = metrics.measure(stacked, s.problem, s.placement.mesh, **what)
    if "bits" in kept:
        row[f"{metrics.PER_NODE}bits"] = sim.traffic.bits[0, : s.problem.n]
    row |= metrics.users(chosen.functions, stacked, sim, s, honest)
    if not s.has_server and any(name.startswith(metrics.PER_NODE) for name in row):
        row[f"{metrics.PER_NODE}degree"] = _degree(s, sim)
    return row


def with_reports(row: dict[str, jax.Array], reports: Info) -> dict[str, jax.Array]:
    """The metrics of a state together with what was reported in the round before.

    Raises:
      InputError: if a metric has the name of a report, or if a report has that of another column.
    """
    taken = " and ".join(sorted(name for name in reports if name in TAKEN or name.startswith(metrics.PER_NODE)))
    checks.require(
        not taken, f"got a report named {taken}, a name of another column of the history; choose another name"
    )
    twice = " and ".join(sorted(row.keys() & reports.keys()))
    checks.require(not twice, f"got a metric named {twice}, which the method reports as well; choose another name")
    return {**row, **reports}


def _degree(s: Simulation, sim: RunState) -> jax.Array:
    """The number of links into each node in the next round, f[n]; 0 for a node that takes no part."""
    plan = plan_at(s, sim)[0]
    degree = plans.degree(plan).astype(jnp.result_type(float))
    return tree.put_rows(jnp.zeros(s.problem.n, degree.dtype), plan.participants, degree)


def simulate(
    simulation: Simulation, rounds: int, eval_every: int = 1, params: PyTree | None = None
) -> tuple[RunState, dict[str, jax.Array]]:
    """A whole run as one pure function, for `jit`, and for `vmap` over rates, seeds or weights of `simulation`.

    Args:
      simulation: what is simulated. `jax.grad` needs a differentiable one, see `jdl.differentiable`.
      rounds: the number of rounds.
      eval_every: the number of rounds between evaluations.
      params: see `init`.

    Returns:
      The final state, and the metrics as arrays `[E]`, or `[E, n]` under names that begin with "nodes/", with the
      `round` of each evaluation: at 0, every `eval_every` rounds, and at the end.

    Raises:
      InputError: if `rounds` or `eval_every` is not a whole number, or if a schedule was planned for fewer rounds.
    """
    rounds, eval_every = checks.whole("rounds", rounds, 0), checks.whole("eval_every", eval_every, 1)
    check_planned(simulation.schedule, rounds)
    if simulation.reversible:
        return _reversibly(simulation.replace(reversible=False), rounds, eval_every, params)
    marks = jnp.asarray(sorted({*range(0, rounds, eval_every), rounds}), jnp.int32)

    def body(sim, until):
        sim, info = advance(simulation, sim, until)
        return sim, {"round": until, **with_reports(evaluate(simulation, sim), info)}

    return jax.lax.scan(body, init(simulation, params), marks)


def _reversibly(
    s: Simulation, rounds: int, eval_every: int, params: PyTree | None
) -> tuple[RunState, dict[str, jax.Array]]:
    """The same as `simulate`, in loops that can be reversed."""

    def one_round(carry):
        sim, reports = STEP(s, carry[0])
        return sim, mean_of(reports)

    def row(carry):
        return {"round": carry[0].t, **with_reports(evaluate(s, carry[0]), carry[1])}

    sim = init(s, params)
    (sim, _), rows = reverse.run(one_round, row, (sim, _no_reports(s, sim)), rounds, eval_every)
    return sim, rows


def _everybody(plan: Plan, n: int) -> Plan:
    """A plan with a row for every node, also where this round's plan names participants."""
    if plan.participants is None:
        return plan
    return Plan(links=Server(weights=jnp.ones(n), used=jnp.ones(n, bool)), self_weights=jnp.zeros(n))


def _start(params: PyTree, like: PyTree, n: int, has_server: bool) -> PyTree:
    """The start that the caller gives, or a sentence if it has not the shape of one model, or of n."""
    given, needed = jax.tree.structure(params), jax.tree.structure(like)
    checks.require(given == needed, f"got params of structure {given}, need {needed}; start from problem.init(key)")

    def leaf(p, like):
        p = jnp.asarray(p, like.dtype)
        good = [like.shape] if has_server else [like.shape, (n, *like.shape)]
        need = " or ".join(map(str, good))
        checks.require(p.shape in good, f"got params with an array of shape {p.shape}, need {need}; see jdl.sim.init")
        return p

    return jax.tree.map(leaf, params, like)


checks.renamed(__name__, {"Sim": "jdl.engine.sim.RunState"})
