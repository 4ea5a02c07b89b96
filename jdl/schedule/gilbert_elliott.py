"""Links that come and go, each as an on/off Markov chain."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import plan as plans
from jdl.topology.graphs.random_graphs import random_regular
from jdl.topology.topology import Topology
from jdl.types import Key, Plan, ScheduleState, Seen, number

__all__ = ["GilbertElliott"]


@struct.dataclass
class GilbertElliott:
    """A random regular graph whose links fail and recover, each an on/off Markov chain (Gilbert and Elliott).

    A link that is on goes off with probability `fail` a round, one that is off comes back with probability `recover`.
    It is on in a share recover / (fail + recover) of all rounds, as in the first one, and stays off for 1 / recover
    rounds in the mean: losses come in bursts, where those of `jdl.exchange.Lossy` are independent. A link that is off
    carries nothing and is known to be off, and both ends keep its weight: W stays symmetric and doubly stochastic.

    Sends:
      `degree` messages a node and round, times the share of links that are on.

    Args:
      plan: with every link on.
      chain: i32 in the shape of the links, the chain of each; both ways of a symmetric plan share one.
      chains: i32[c], the numbers of the chains.
      fail: probability that a link that is on is off in the next round, 0 to 1; a leaf.
      recover: probability that a link that is off is on in the next round, 0 to 1; a leaf.

    References:
      Gilbert, "Capacity of a burst-noise channel", Bell System Technical Journal 39, 1960.
      Elliott, "Estimates of error rates for codes on burst-noise channels", Bell System Technical Journal 42, 1963.
    """

    plan: Plan
    chain: jax.Array
    chains: jax.Array
    fail: float | jax.Array = number(0.05, minimum=0, maximum=1)
    recover: float | jax.Array = number(0.2, minimum=0, maximum=1)

    @classmethod
    def for_nodes(cls, n: int, degree: int = 4, fail: float = 0.05, recover: float = 0.2, seed: int = 0) -> Self:
        """A random regular graph whose links fail and recover.

        Args:
          n: number of nodes, at least 1.
          degree: neighbours of each node, less than n, and even if n is odd.
          fail: probability that a link that is on is off in the next round; a leaf, so a sweep over it is one program.
          recover: probability that a link that is off is on in the next round; a leaf.
          seed: of the graph; the same seed gives the same one.

        Raises:
          InputError: if no connected graph of this degree exists.

        >>> import jax
        >>> links = GilbertElliott.for_nodes(8, degree=2, fail=1.0, recover=1.0)
        >>> _, after = links(links.init(jax.random.key(0)), 0, jax.random.key(1))
        >>> bool((after != links.init(jax.random.key(0))).all())
        True
        """
        return cls.of(random_regular(n, degree=degree, seed=seed), fail, recover)

    @classmethod
    def of(cls, topology: Topology, fail: float = 0.05, recover: float = 0.2) -> Self:
        """The links of a topology, each on or off for a while.

        W stays stochastic as it was: the weight of a link that is off returns to its end, see `jdl.plan.settled`. An
        undirected link is off both ways. A doubly stochastic W that is directed is only row stochastic with links off.

        Args:
          topology: who talks when all links are on.
          fail: probability that a link that is on is off in the next round; a leaf, so a sweep over it is one program.
          recover: probability that a link that is off is on in the next round; a leaf.

        >>> from jdl.topology import ring
        >>> GilbertElliott.of(ring(5)).chains.shape
        (5,)
        """
        plan, who, to = jax.device_get(_listed(topology.plan()))
        plan, used = jax.tree.map(jnp.asarray, plan), plan.links.used
        ends = (np.minimum(who, to), np.maximum(who, to)) if plan.symmetric else (who, to)
        numbers = (ends[0].astype(np.int64) * topology.n + ends[1])[used]
        chains, which = np.unique(numbers, return_inverse=True)
        chain = np.full(used.shape, len(chains))  # a place without a link reads beyond the end, which is clipped
        chain[used] = which
        count = jnp.arange(max(1, len(chains)), dtype=jnp.int32)
        chain = jnp.asarray(np.minimum(chain, len(count) - 1), jnp.int32)
        return cls(plan=plan, chain=chain, chains=count, fail=fail, recover=recover)

    @property
    def n(self) -> int:
        """The number of nodes."""
        return plans.rows(self.plan)

    def init(self, key: Key) -> ScheduleState:
        """bool[c], which chains are on in the first round: drawn from the stationary distribution."""
        total = jnp.asarray(self.fail + self.recover)
        share = jnp.where(total > 0, self.recover / jnp.where(total > 0, total, 1), 1)
        return jax.random.bernoulli(key, share, self.chains.shape)

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The links that are on in `memory`, and which will be next, as `key` draws; the round does not matter."""
        now = plans.silence(self.plan, memory[self.chain])
        return now, memory ^ jax.random.bernoulli(key, jnp.where(memory, self.fail, self.recover))


@jax.jit
def _listed(plan: Plan) -> tuple[Plan, jax.Array, jax.Array]:
    """A plan whose links are listed one by one, who sends on each, and who receives; as one program."""
    plan = plans.one_by_one(plan)
    return plan, plans.senders(plan.links), plans.receivers(plan.links)
