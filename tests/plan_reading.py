"""The links and the mixing matrix of a plan in NumPy, read from the arrays of each form (`jdl/types/links.py`).

Nothing here calls jdl's own readings of a plan, so that tests have one that is independent, and for which nothing is
compiled. Arrays may carry leading axes (runs, rounds): those of `self_weights` beyond its last.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdl.engine.state import classes_of
from jdl.types import Circulant, Dense, Edges, Groups, Key, Plan, Schedule, ScheduleState, Slots


class Named(NamedTuple):
    """All places for links, `[runs, places]`: who hears, who sends, the weight, and whether a copy travels."""

    receivers: np.ndarray
    senders: np.ndarray
    weights: np.ndarray
    used: np.ndarray


def batch(plan: Plan) -> tuple[int, ...]:
    """The leading axes of a plan's arrays."""
    return np.shape(plan.self_weights)[:-1]


def named(plan: Plan) -> Named:
    """The links of a plan, one by one, its leading axes made one."""
    lead, links = batch(plan), plan.links
    runs, m = int(np.prod(lead)), np.shape(plan.self_weights)[-1]
    flat = lambda leaf: np.asarray(leaf).reshape(runs, *np.shape(leaf)[len(lead) :])
    row = np.arange(m)
    match links:
        case Dense():
            receivers, senders = np.broadcast_arrays(row[:, None], row[None, :])
        case Slots():
            senders = flat(links.senders)
            receivers = row[:, None]
        case Circulant():
            senders = (row[:, None] + np.array(links.shifts, int)[None, :]) % m
            receivers = row[:, None]
        case Edges():
            senders, receivers = flat(links.senders), flat(links.receivers)
        case Groups():
            # Every pair of members of one group: the place (a, b) says that member a hears member b.
            members, used = flat(links.members), flat(links.used)
            receivers, senders = np.broadcast_arrays(members[..., :, None], members[..., None, :])
            both = used[..., :, None] & used[..., None, :] & ~np.eye(members.shape[-1], dtype=bool)
            share = (1 / np.maximum(used.sum(axis=-1), 1)).astype(np.asarray(plan.self_weights).dtype)[..., None, None]
            places = receivers, senders, np.where(both, share, 0), both
            return Named(*(place.reshape(runs, -1) for place in places))
        case _:
            raise TypeError(f"no links among peers in {type(links).__name__}")
    weights = flat(links.weights)
    full = lambda ids: np.broadcast_to(ids, weights.shape).reshape(runs, -1)
    return Named(full(receivers), full(senders), weights.reshape(runs, -1), flat(links.used).reshape(runs, -1))


def matrix(plan: Plan) -> np.ndarray:
    """W, `f[..., m, m]`: W[i, j] is the weight that receiver i gives to sender j, the diagonal included."""
    links, own = named(plan), np.asarray(plan.self_weights)
    m = own.shape[-1]
    W = np.zeros((len(links.weights), m, m), links.weights.dtype)
    run = np.broadcast_to(np.arange(len(W))[:, None], links.weights.shape)
    np.add.at(W, (run, links.receivers, links.senders), links.weights)
    W[:, np.arange(m), np.arange(m)] += own.reshape(len(W), m)
    return W.reshape(*own.shape, m)


def links_into(plan: Plan) -> np.ndarray:
    """How many copies travel from j to i, `int[..., m, m]`, by what the plan marks as used."""
    links, shape = named(plan), np.shape(plan.self_weights)
    count = np.zeros((len(links.used), shape[-1], shape[-1]), int)
    run = np.broadcast_to(np.arange(len(count))[:, None], links.used.shape)
    np.add.at(count, (run, links.receivers, links.senders), links.used)
    return count.reshape(*shape, shape[-1])


def awake(plan: Plan) -> np.ndarray:
    """`bool[..., m]`, who takes part."""
    return np.ones(np.shape(plan.self_weights), bool) if plan.active is None else np.asarray(plan.active)


def faults(plan: Plan, atol: float) -> list[str]:
    """What a plan claims and does not keep, in words; an empty list for a plan that is what it claims."""
    W, there, m = matrix(plan), awake(plan), np.shape(plan.self_weights)[-1]
    links, copies = named(plan), links_into(plan)
    eye = np.broadcast_to(np.eye(m, dtype=W.dtype), W.shape)
    off = ~np.eye(m, dtype=bool)
    found = {
        "rows do not sum to one": plan.stochastic != "column" and np.abs(W.sum(axis=-1) - 1).max() > atol,
        "columns do not sum to one": plan.stochastic != "row" and np.abs(W.sum(axis=-2) - 1).max() > atol,
        "W is not symmetric": plan.symmetric and np.abs(W - W.swapaxes(-1, -2)).max() > atol,
        "a symmetric plan is not doubly stochastic": plan.symmetric and plan.stochastic != "doubly",
        "the diagonal is not self_weights": np.any(W[..., ~off] != np.asarray(plan.self_weights)),
        "a sleeper hears somebody": np.any(W[~there] != eye[~there]),
        "somebody hears a sleeper": np.any(W.swapaxes(-1, -2)[~there] != eye[~there]),
        "links that are not used have weight": np.any(links.weights[~links.used] != 0),
        "links that are used have none": np.any(links.weights[links.used] == 0),
        "used marks other links than W": np.any((copies > 0) != ((W != 0) & off)),
    }
    return [words for words, wrong in found.items() if wrong]


class Rounds(NamedTuple):
    """Rounds of some runs of a schedule in NumPy, `[runs, rounds, ...]`: plans, W, and the memory before each round."""

    plan: Plan
    W: np.ndarray
    memory: ScheduleState


def rounds(schedule: Schedule, count: int, key: Key, length: int = 1) -> Rounds:
    """`count` runs of `length` rounds from independent keys. W is read from the plans in NumPy.

    Schedules of one class and shape share a program, whatever their probabilities and graphs are.
    """
    keys = _keys(jax.random.split(key, count), length)
    plan, memory = jax.device_get(_many(schedule, keys, classes_of(jax.tree.structure(schedule))))
    return Rounds(plan, matrix(plan), memory)


@functools.partial(jax.jit, static_argnames="length")
@functools.partial(jax.vmap, in_axes=(0, None))
def _keys(key: Key, length: int) -> Key:
    """A key to begin with and one for each round: one program for all schedules."""
    return jax.random.split(key, length + 1)


# `classes`: to JAX, dataclasses of different classes with equal fields are equal trees; see `jdl.state`.
@functools.partial(jax.jit, static_argnames="classes")
def _many(schedule: Schedule, keys: Key, classes: tuple) -> tuple[Plan, ScheduleState]:
    return jax.vmap(run_of(schedule))(keys)


def run_of(schedule: Schedule) -> Callable[[Key], tuple[Plan, ScheduleState]]:
    """One run as a pure function of its keys: the plans, and the memory before each round, stacked.

    The first of the keys begins the run, each of the others is that of a round.
    """

    def run(keys: Key) -> tuple[Plan, ScheduleState]:
        def one(memory, inputs):
            plan, new = schedule(memory, *inputs)
            return new, (plan, memory)

        return jax.lax.scan(one, schedule.init(keys[0]), (jnp.arange(len(keys) - 1), keys[1:]))[1]

    return run


def all_hold(check: Callable, cases: list[tuple] | dict[str, tuple]) -> None:
    """Make the same check of every case, and name every case that fails with what its check said."""
    named_cases = cases if isinstance(cases, dict) else {str(case): case for case in cases}
    assert named_cases, "a check of nothing"
    failed = {}
    for name, case in named_cases.items():
        try:
            check(*case)
        except AssertionError as error:
            failed[name] = str(error).strip()
    assert not failed, "\n".join(f"{name}: {words}" for name, words in failed.items())
