"""Checks that exact prediction is possible, each with the sentence that says why not."""

from __future__ import annotations

import jax
import numpy as np

from jdl import checks
from jdl.engine.sim import RunState, Simulation
from jdl.theory.linear.blame import what_is_not_affine
from jdl.theory.linear.law import Law
from jdl.theory.linear.traced import values
from jdl.theory.linear.vector import Packing, discrete_leaves
from jdl.types import Key

__all__ = ["foreseeable", "has_a_state", "is_affine", "reads_no_order", "watches_nothing"]

# The vector of a state has at most this many numbers.
LARGEST = 2_000
# Rounding in float32 stays below this, relative to the size of a state; what is not affine lies far above.
ROUNDING = 1e-5


def watches_nothing(s: Simulation) -> None:
    watched = getattr(s.schedule, "watches", ())
    name = type(s.schedule).__name__
    need = "need rounds whose links do not depend on the models"
    checks.require(not watched, f"got {name}, which chooses who talks by what nodes report, {need}; take another")


def has_a_state(s: Simulation, packing: Packing) -> None:
    D = packing.size
    name = type(s.algorithm).__name__
    checks.require(D > 0, f"got {name} over {type(s.problem).__name__}, whose models never move; set a positive rate")
    got = f"got a simulation whose nodes and exchanges hold {D:,} numbers"
    checks.require(
        D <= LARGEST, f"{got}, need at most {LARGEST:,} for exact prediction; take fewer nodes or dimensions"
    )


def foreseeable(s: Simulation, states: RunState, packing: Packing) -> None:
    """Check that everything else in the state is the same in all runs.

    Raises:
      InputError: if something that a round reads depends on past draws or on the models.
    """
    for name, leaf in discrete_leaves(states, packing):
        same = np.array_equal(leaf, np.broadcast_to(leaf[:1], leaf.shape))
        got = f"got {type(s.schedule if name.startswith('schedule') else s.algorithm).__name__}, whose state {name}"
        why = "depends on draws of earlier rounds or on the models"
        checks.require(same, f"{got} {why}; need rounds that are independent draws; take another part")


def reads_no_order(s: Simulation, packing: Packing, known: RunState, x: jax.Array) -> None:
    at = jax.tree.map(lambda leaf: leaf[0], known)
    key = jax.random.key(6)
    other = at.replace(count=at.count + 1)
    before, after = (values(s, packing, state, x, key) for state in (at, other))
    got = f"got {type(s.problem).__name__}, whose nodes visit their examples in an order that lasts for several rounds"
    need = "need rounds that are independent draws; take full batches, or minibatches with replacement"
    checks.require(np.array_equal(before, after, equal_nan=True), f"{got}, {need}")


def is_affine(s: Simulation, packing: Packing, at: RunState, law: Law, keys: Key) -> float:
    """Check that a law, which is a derivative at one point, holds far from that point.

    Returns:
      By how much it was off, relative to the size of the vector: rounding in float64, or in float32 where a problem
      computes in that.

    Raises:
      InputError: if it does not hold; the sentence names the part.
    """
    most = 0.0
    for seed, scale in ((4, 1.0), (5, 30.0)):
        x = scale * np.random.default_rng(seed).normal(size=packing.size)
        seen = np.asarray(values(s, packing, at, x, keys[0]))
        expected = np.concatenate([law.A @ x + law.b, np.broadcast_to(law.M @ x + law.c, (len(law.A), len(law.c)))], 1)
        errors = np.abs(seen - expected).max(axis=1) / max(np.abs(expected).max(), scale)
        if not errors.min() < ROUNDING:  # the draw of this key is one of those that may occur
            raise checks.InputError(what_is_not_affine(s))
        most = max(most, float(errors.min()))
    return most
