"""When in a round a node computes: before its message, beside it, or after what arrives.

It is read from a program that is traced for this and never run, in which queries of the oracle, messages and inboxes
are marked: each mark knows on which others it depends.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
from flax import struct
from jax.extend.core import Jaxpr, Literal

from jdl.engine.counting import BUDGET, counted, mark, marked, programs_of
from jdl.engine.rounds import step
from jdl.engine.state import Simulation, program_key
from jdl.types import Key, PyTree, Wire, Work

__all__ = ["work_of"]

# What a query costs, in gradients.
COSTS = {"gradients": 1, "hessian_products": 2, "prox_calls": 1}
MESSAGE, INBOX, ROUND = "message", "inbox", "round"
Deps = frozenset


def work_of(simulation: Simulation) -> tuple[Work, ...]:
    """The steps of a node in each exchange of a round that is not empty.

    Args:
      simulation: what is simulated; only its shapes are read.

    Returns:
      One `Work` for each exchange, and for a method that sends nothing one whose steps are all `before`. Numbers are
      NaN where they depend on data, on the round or on chance.
    """
    structure, leaves = program_key(simulation.replace(clock=None, work=()))
    return _work(structure, leaves)


@functools.lru_cache(maxsize=16)
def _work(structure: jax.tree_util.PyTreeDef, leaves: tuple[jax.ShapeDtypeStruct, ...]) -> tuple[Work, ...]:
    s, rows, before = counted(structure.unflatten(leaves))
    s = s.replace(exchange=Marked(s.exchange))
    # Two rounds, since a message may travel while the steps of the next round are computed.
    with jax.disable_jit(False):
        program = jax.make_jaxpr(lambda s, state: step(s, marked(ROUND, step(s, state)[0])))(s, before).jaxpr
    seen: dict[tuple, tuple[str, float, Deps]] = {}
    _follow(program, [Deps()] * len(program.invars), (), 1, seen)
    return _in_exchanges(seen, rows)


def _in_exchanges(seen: dict[tuple, tuple[str, float, Deps]], rows: int) -> tuple[Work, ...]:
    """The marks of two rounds, in the order of the program, as the work in each exchange of the second.

    All rows together pass the marks of queries.
    """
    budget = any(kind == BUDGET for kind, _, _ in seen.values())
    messages = [deps for kind, _, deps in seen.values() if kind == MESSAGE]
    inboxes = [place for place, (kind, _, _) in seen.items() if kind == INBOX]
    exchanges, first = len(messages) // 2, len(messages) // 2
    if not exchanges:
        steps = sum(COSTS.get(kind, 0) * count for kind, count, _ in seen.values()) / rows / 2
        return (Work(math.nan if budget else steps, 0.0, 0.0),)
    work = [[0.0, 0.0, 0.0, False, False] for _ in range(exchanges)]
    passed, second = 0, False  # inboxes so far, and whether this is the second round
    for place, (kind, count, deps) in seen.items():
        passed += kind == INBOX
        second |= kind == ROUND
        if kind not in COSTS or not second:
            continue
        phase, steps = passed - first, math.nan if budget else COSTS[kind] * count / rows
        waits = inboxes[passed - 1] in deps
        if phase < exchanges and (phase == 0 or waits):
            work[phase][0 if place in messages[passed] else 1] += steps
            work[phase][3] |= waits
        else:
            work[phase - 1][2 if waits else 1] += steps
            work[phase - 1][3] |= not waits and inboxes[passed - 2] in deps
    for phase, deps in enumerate(messages[first:]):
        before, beside = work[phase][:2]
        work[phase][3:] = work[phase][3] or not before + beside, inboxes[first + phase - 1] in deps
    return tuple(Work(*one) for one in work)


def _follow(program: Jaxpr, ins: list[Deps], path: tuple, times: float, seen: dict) -> list[Deps]:
    """On which marks the results of a program depend.

    Args:
      program: the program.
      ins: for each argument, the marks on which it depends.
      path: where the program lies in the whole one, which names its marks.
      times: how often it is run.
      seen: gets each mark: its kind, how often it is passed, and on which others it depends.
    """
    known: dict[Any, Deps] = dict(zip(program.invars, ins, strict=True))
    of = lambda var: Deps() if isinstance(var, Literal) else known.get(var, Deps())
    for i, equation in enumerate(program.eqns):
        outs = _through(equation, [of(var) for var in equation.invars], (*path, i), times, seen)
        known.update(zip(equation.outvars, outs, strict=True))
    return [of(var) for var in program.outvars]


def _through(equation: Any, ins: list[Deps], place: tuple, times: float, seen: dict) -> list[Deps]:
    """On which marks the results of one equation depend."""
    name, params, every = equation.primitive.name, equation.params, Deps().union(*ins)
    if equation.primitive is mark:
        seen[place] = params["kind"], times * params["count"], every
        return [every | {place}] * len(ins) if params["kind"] in (*COSTS, INBOX, BUDGET) else ins
    if name == "optimization_barrier":
        return ins
    if name == "scan":
        consts, carries = params["num_consts"], params["num_carry"]
        body = params["jaxpr"].jaxpr
        return _looped(body, ins[:consts], ins[consts : consts + carries], ins[consts + carries :], place,
                       times * params["length"], seen)  # fmt: skip
    if name == "while":
        first, second = params["cond_nconsts"], params["body_nconsts"]
        carry, body = ins[first + second :], params["body_jaxpr"].jaxpr
        asked = _follow(params["cond_jaxpr"].jaxpr, [*ins[:first], *carry], (*place, "cond"), math.nan, seen)
        outs = _looped(body, ins[first : first + second], carry, [], place, math.nan, seen)
        return [out | asked[0] for out in outs]
    if name == "cond":
        return _chosen(params["branches"], ins, place, times, seen)
    inner = programs_of(params)
    if len(inner) == 1 and len(inner[0].invars) == len(ins) and len(inner[0].outvars) == len(equation.outvars):
        return _follow(inner[0], ins, place, times, seen)
    for j, one in enumerate(inner):
        every |= Deps().union(*_follow(one, [every] * len(one.invars), (*place, j), times, seen))
    return [every] * len(equation.outvars)


def _looped(
    body: Jaxpr, consts: list[Deps], carry: list[Deps], xs: list[Deps], place: tuple, times: float, seen: dict
) -> list[Deps]:
    """The results of a loop: what it carries depends on all that earlier turns carried."""
    while True:
        outs = _follow(body, [*consts, *carry, *xs], place, times, seen)
        grown = [before | after for before, after in zip(carry, outs, strict=False)]
        if grown == carry:
            return [*carry, *outs[len(carry) :]]
        carry = grown


def _chosen(branches: tuple, ins: list[Deps], place: tuple, times: float, seen: dict) -> list[Deps]:
    """The results of a choice. Branches that ask differently often make the number of queries unknown."""
    asked: list[dict] = [{} for _ in branches]
    outs = [
        _follow(branch.jaxpr, ins[1:], (*place, "branch"), times, marks)
        for branch, marks in zip(branches, asked, strict=True)
    ]
    counts = [sorted((kind, count) for kind, count, _ in marks.values() if kind in COSTS) for marks in asked]
    same = all(count == counts[0] for count in counts)
    for marks in asked[:1] if same else asked:
        for where, (kind, count, deps) in marks.items():
            seen[where] = kind, count if same else math.nan, deps | ins[0]
    return [ins[0].union(*one) for one in zip(*outs, strict=True)]


@struct.dataclass
class Marked:
    """An exchange that marks the messages that it is given, and the inboxes that it gives."""

    inner: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def apply(self, state: PyTree, wire: Wire, key: Key) -> tuple:
        wire = wire.replace(sent=marked(MESSAGE, wire.sent))
        inbox, state, deliveries = self.inner.apply(state, wire, key)
        return marked(INBOX, inbox), state, deliveries
