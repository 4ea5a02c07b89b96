"""Nodes that move, and talk to those in reach."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.types import Dense, Key, Plan, ScheduleState, Seen, number, static

__all__ = ["Mobility", "Place", "reach"]


class Place(NamedTuple):
    """Where everybody is, and where it is going."""

    position: jax.Array  # f[n, 2], in the unit square
    heading: jax.Array  # f[n, 2], of length one


@struct.dataclass
class Mobility:
    """Nodes move about a square and talk to whoever is within a radius.

    Each node goes straight ahead, `speed` side lengths a round, is reflected by the walls, and sets off in a new random
    direction with probability `turn` a round; positions are uniform at all times. Two nodes are linked while they are
    within a radius, which is chosen such that a node has `degree` links in expectation. Metropolis weights,
    W_ij = 1 / (1 + max(d_i, d_j)), made anew each round: symmetric and doubly stochastic. The graph of a round may be
    disconnected, and for small degrees mostly is; motion carries the models across.

    All distances are compared, so a round costs n^2 numbers of memory. In a run,
    `state.schedule_state.position: f[n, 2]` is where the nodes will be in the next round.

    Sends:
      `degree` messages a node and round, in expectation.

    Args:
      n: number of nodes, at least 1.
      radius: largest distance of two nodes that are linked, in side lengths of the square; a leaf.
      speed: side lengths a round; a leaf.
      turn: probability of a new direction in a round, 0 to 1; a leaf.

    References:
      Royer, Melliar-Smith, Moser, "An analysis of the optimum node density for ad hoc mobile networks", ICC 2001.
      Nain, Towsley, Liu, Liu, "Properties of random direction models", INFOCOM 2005.
    """

    n: int = static(minimum=1)
    radius: float | jax.Array = number(minimum=0)
    speed: float | jax.Array = number(0.05, minimum=0)
    turn: float | jax.Array = number(0.1, minimum=0, maximum=1)

    @classmethod
    def for_nodes(cls, n: int, degree: int = 4, speed: float = 0.05, turn: float = 0.1) -> Self:
        """A radius within which a node has `degree` links in expectation.

        Args:
          n: number of nodes, at least 1.
          degree: links of a node in expectation, less than n.
          speed: side lengths a round; a leaf, so a sweep over it is one program.
          turn: probability of a new direction a round; a leaf.

        Raises:
          InputError: if `degree` is not less than n, or if n^2 links need more memory than there is.

        >>> round(Mobility.for_nodes(100, degree=4).radius, 4)
        0.1195
        """
        from scipy.optimize import brentq

        n, degree = checks.whole("n", n, 1), checks.whole("degree", degree, 0)
        fewer = f"got degree={degree} with n={n}, a node has at most n - 1 neighbours; try degree={n - 1}"
        checks.require(degree < n, fewer)
        checks.fits(3 * n * n * jnp.result_type(float).itemsize, f"all distances between n={n:,} moving nodes")
        widest = math.sqrt(2)
        radius = widest if degree == n - 1 else brentq(lambda r: reach(r) - degree / (n - 1), 0, widest, xtol=1e-9)
        return cls(radius=radius, speed=speed, turn=turn, n=n)

    def init(self, key: Key) -> ScheduleState:
        """A `Place` drawn uniformly, which is the stationary distribution."""
        where, whither = jax.random.split(key)
        return Place(jax.random.uniform(where, (self.n, 2)), headings(whither, self.n))

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """Who is in reach of whom in the places of `memory`, and the places next; the round does not matter."""
        squared = sum((x[:, None] - x[None, :]) ** 2 for x in memory.position.T)
        used = (squared <= self.radius**2) & ~jnp.eye(self.n, dtype=bool)
        degree = jnp.sum(used, axis=1).astype(squared.dtype)
        weights = jnp.where(used, 1 / (1 + jnp.maximum(degree[:, None], degree[None, :])), 0)
        links = Dense(weights=weights, used=used)
        return Plan(links=links, self_weights=1 - jnp.sum(weights, axis=1), symmetric=True), self._move(memory, key)

    def _move(self, place: Place, key: Key) -> Place:
        which, whither = jax.random.split(key)
        turns = jax.random.bernoulli(which, self.turn, (self.n, 1))
        heading = jnp.where(turns, headings(whither, self.n), place.heading)
        # Unfolding the square at its walls makes the course a straight line: mirror images alternate with period 2.
        far = (place.position + self.speed * heading) % 2
        mirrored = far > 1
        return Place(jnp.where(mirrored, 2 - far, far), jnp.where(mirrored, -heading, heading))


def headings(key: Key, n: int) -> jax.Array:
    """f[n, 2], uniformly random unit vectors."""
    angle = jax.random.uniform(key, (n,), maxval=2 * math.pi)
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)


def reach(radius: float) -> float:
    """The probability that two uniformly random points of the unit square lie within `radius` of each other.

    pi r^2 - 8 r^3 / 3 + r^4 / 2 for r up to 1.

    >>> round(reach(0.5), 6), round(reach(2**0.5), 6)
    (0.483315, 1.0)
    """
    from scipy.integrate import quad

    def slice_at(y: float) -> float:
        # |y1 - y2| has density 2 (1 - y), and |x1 - x2| <= a has probability a (2 - a).
        a = min(1.0, math.sqrt(max(0.0, radius**2 - y**2)))
        return 2 * (1 - y) * a * (2 - a)

    corner = math.sqrt(max(0.0, min(radius**2 - 1, 1.0)))
    return quad(slice_at, 0, corner)[0] + quad(slice_at, corner, min(radius, 1.0))[0]
