"""What the rows of the table of methods are made of: options that several share, `Case` and `Row`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import beds
import jax.numpy as jnp
import numpy as np
import numpy_decentralized as peers
import numpy_federated as federated
from beds import N
from flax import struct

import jdl
from jdl import compressors

ROUNDS = T = beds.ROUNDS
H, LR, NOISE, HEIGHT = 3, 0.05, 0.3, 10.0
X, x = beds.start(), beds.start()[0]
WIDE = beds.start(dim=12)

# ---- options that several rows share -----------------------------------------------------------------------------

STEPS = {"local_steps": H}
SGD = {"optimizer": "sgd", **STEPS}
OUTER = {"outer_lr": 0.3, "outer_momentum": 0.4}
ADAMW = {"optimizer": "adamw", **STEPS, **OUTER}
TOP = {"compressor": compressors.TopK(0.4)}  # 2 of 5
WHOLE = {"compressor": compressors.Identity()}
# Budgets of local steps, and clients that come and go.
BUDGETS = 1 + np.arange(N) % H
THERE = np.random.default_rng(0).random((T, N)) < 0.6
THERE[7] = False
THERE[7, 2] = True


def trace(decay=0.5):
    """Momentum that no name in OPTIMIZERS has: inner state must survive the round."""
    import optax

    return optax.trace(decay=decay)


HEAVY = {**STEPS, **OUTER, "optimizer": trace()}


def top(V):
    return peers.top(V, 2)


def soften(V, lr, strength=0.1):
    return np.sign(V) * np.maximum(np.abs(V) - strength * lr, 0)


def adamw(shape):
    return federated.AdamW(shape, weight_decay=0.1)


@struct.dataclass
class Slow(jdl.oracle.DataOracle):
    """Every node has its own budget of local steps."""

    budgets: Any = None

    def steps(self, data):
        return self.budgets[data.id]


def slow(budgets=BUDGETS):
    return Slow(budgets=jnp.asarray(budgets, jnp.int32))


# ---- what a reference may use of a run ---------------------------------------------------------------------------


class Case:
    """W, the gradients, who took part; before: the states of nodes in round 0, for what is random in them."""

    def __init__(self, problem, W=None, participants=None, before=None):
        self.problem, self.W, self.before = problem, W, before
        self.A, self.b = np.asarray(problem.A), np.asarray(problem.b)
        self.G = beds.gradient(problem)
        self.samples = None if participants is None else beds.samples(participants)

    def F(self, Y, t=0, k=0):
        return np.einsum("nij,nj->ni", self.A, Y) - self.b

    def losses(self, Y, t=0, k=0):
        linear = self.G(Y, t, k) - np.einsum("nij,nj->ni", self.A, Y)
        return np.einsum("ni,nij,nj->n", Y, self.A, Y) / 2 + (linear * Y).sum(1) + float(self.problem.height)

    @property
    def peers(self):
        return self.W, self.G, X, LR, T

    @property
    def steps(self):
        return self.samples, self.G, x, LR, T, H, N

    @property
    def ball(self):
        """The gradients of `steps` where all gradients are full."""
        return self.samples, self.G, self.F, x, LR, T, H, N


@dataclasses.dataclass(frozen=True)
class Row:
    """A method with options, and what proves it.

    fields: of the method, beside `lr`. reference: models `[T + 1, n, d]`, or `[T + 1, d]` of a server, from a `Case`;
    a tuple of arrays that starts with them. states: pairs of arrays of a run and of a reference that must agree, too,
    each with its tolerance.
    bed: options of `beds.quadratic`. form: of the plan. W: matrices, None for `beds.graphs`. participants: numbers of
    clients a round; talk: a schedule in their place. rounds: how many are compared.
    """

    fields: dict
    reference: Callable[[Case], Any]
    states: Callable[[Any, tuple], list] | None = None
    bed: dict = dataclasses.field(default_factory=dict)
    form: str = "dense"
    W: Sequence | None = None
    participants: Sequence[int] = (N, 3)
    talk: Any = None
    network: Sequence = ()
    oracle: Any = None
    rounds: int = T
    tolerance: float = 1e-11


def pair(ours, theirs, tolerance=1e-11):
    """States of rounds 1 to T, and the reference's of rounds 0 to T."""
    return ours, theirs[1:], tolerance


def divided(ours, theirs):
    """The same for states that have been divided by a small number."""
    return pair(ours, theirs, 1e-10)


ALL = {"participants": (N,)}
