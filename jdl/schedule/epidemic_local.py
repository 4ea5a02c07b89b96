"""Every node pushes its model to a few random others, without asking anybody (EL-Local)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.types import Edges, Key, Plan, ScheduleState, Seen, static

__all__ = ["EpidemicLocal", "others"]


@struct.dataclass
class EpidemicLocal:
    """Every node pushes its model to a few random others each round, and averages what it got (EL-Local).

    Each node draws s = `degree` of the others without replacement. W_ij = 1 / (1 + r_i) for itself and for the r_i
    nodes that chose i: row stochastic, so the mean over nodes is kept in expectation only. For x of mean zero,
    E ||W x||^2 / ||x||^2 = (1 - (1 - s / (n - 1))^n) / s - 1 / (n - 1), about the mean before the round.

    Sends:
      `degree` messages a node and round.

    Args:
      n: number of nodes, at least 1.
      degree: peers that each node sends to, s, less than n.

    Raises:
      InputError: if there are not that many other nodes.

    >>> import jax
    >>> plan, _ = EpidemicLocal(4, degree=3)((), 0, jax.random.key(0))
    >>> print(plan.self_weights, plan.stochastic)
    [0.25 0.25 0.25 0.25] row

    References:
      de Vos, Farhadkhani, Guerraoui, Kermarrec, Pires, Sharma, "Epidemic Learning: Boosting Decentralized Learning with
      Randomized Communication", NeurIPS 2023, EL-Local.
      Bentley, Floyd, "Programming pearls: a sample of brilliance", Communications of the ACM 30, 1987.
    """

    n: int = static(minimum=1)
    degree: int = static(4, minimum=0)

    def __post_init__(self) -> None:
        n, degree = checks.whole("n", self.n, 1), checks.whole("degree", self.degree, 0)
        fewer = f"got degree={degree} with n={n}, a node can send to at most n - 1 others; try degree={n - 1}"
        checks.require(degree < n, fewer)

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The pushes that `key` draws, as n * degree links; the round does not matter."""
        receivers = others(key, self.n, self.degree).ravel()
        senders = jnp.repeat(jnp.arange(self.n, dtype=jnp.int32), self.degree)
        heard = jnp.zeros(self.n, jnp.result_type(float)).at[receivers].add(1)
        share = 1 / (1 + heard)
        used = jnp.ones(receivers.shape, bool)
        links = Edges(weights=share[receivers], used=used, senders=senders, receivers=receivers)
        return Plan(links=links, self_weights=share, stochastic="row"), memory


def others(key: Key, n: int, count: int) -> jax.Array:
    """For each of n nodes `count` of the other n - 1, uniform and without replacement: i32[n, count].

    Floyd's algorithm, all nodes at once: the set grows by a uniform number of 0 to j, or by j if it holds that number
    already, for j = n - 1 - count to n - 2. Exact, in `n * count` numbers of memory.

    >>> import jax
    >>> print(others(jax.random.key(0), n=3, count=2).sort(axis=1))
    [[1 2]
     [0 2]
     [0 1]]
    """
    own = jnp.arange(n, dtype=jnp.int32)
    steps = jnp.zeros((n, 0), jnp.int32)
    for last, one in zip(range(n - 1 - count, n - 1), jax.random.split(key, max(count, 1)), strict=False):
        drawn = jax.random.randint(one, (n,), 0, last + 1, jnp.int32)
        known = jnp.any(steps == drawn[:, None], axis=1)
        steps = jnp.concatenate([steps, jnp.where(known, last, drawn)[:, None]], axis=1)
    return (own[:, None] + 1 + steps) % n
