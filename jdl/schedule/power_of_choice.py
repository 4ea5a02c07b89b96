"""A server that prefers clients with a high loss."""

from __future__ import annotations

from typing import ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.schedule.sampling_with_replacement import shares
from jdl.types import Key, Plan, ScheduleState, Seen, static

__all__ = ["PowerOfChoice"]


@struct.dataclass
class PowerOfChoice:
    """A server picks, among a few random nodes, those whose loss was highest when they last took part (rpow-d).

    d = `candidates` nodes are drawn without replacement; of them the m with the highest loss last seen take part.
    Nodes that were never seen count as infinitely bad, so that all are tried. d = m is uniform sampling, and the larger
    d, the more the model is drawn to the clients it serves worst: faster at first, and biased. The authors have clients
    report the mean loss of their local steps; here it is that of the model they begin with, on their first minibatch.

    Sends:
      1 message a participant and round, to the server, with a number more in it, the loss.

    Args:
      probabilities: f[n], of each node to be drawn as a candidate, with sum 1.
      participants: m, between 1 and d.
      candidates: d, between m and n.

    References:
      Cho, Wang, Joshi, "Towards Understanding Biased Client Selection in Federated Learning", AISTATS 2022.
    """

    probabilities: jax.Array
    participants: int = static(minimum=1)
    candidates: int = static(minimum=1)

    watches: ClassVar[frozenset[str]] = frozenset({"loss"})

    @classmethod
    def for_nodes(cls, n: int, participants: int, candidates: int, probabilities: np.ndarray | None = None) -> Self:
        """Draws of n clients with probabilities in proportion to the given ones.

        Args:
          n: number of nodes, at least 1.
          participants: m, between 1 and d.
          candidates: d, between m and n.
          probabilities: `[n]`, of each node in the draw of candidates, up to a factor: the authors take the number of
            examples. None: all alike.

        >>> import jax
        >>> choice = PowerOfChoice.for_nodes(4, participants=2, candidates=4)
        >>> losses = jax.numpy.array([0.1, 0.4, 0.2, 0.3])
        >>> print(choice(losses, 0, jax.random.key(0))[0].participants)
        [1 3]
        """
        n, m = checks.whole("n", n, 1), checks.whole("participants", participants, 1)
        d = checks.whole("candidates", candidates, 1)
        need = f"got participants={m}, candidates={d}, n={n}, need m <= d <= n; try candidates={min(max(2 * m, 1), n)}"
        checks.require(m <= d <= n, need)
        p = shares(n, probabilities)
        able = int(np.sum(np.asarray(p) > 0))
        some = f"got candidates={d}, only {able} nodes have a probability above 0; try candidates={able}"
        checks.require(able >= d, some)
        return cls(probabilities=p, participants=m, candidates=d)

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.probabilities.shape[0]

    def init(self, key: Key) -> ScheduleState:
        """f[n], the loss of each node when it last took part; infinite for those that did not."""
        return jnp.full(self.n, jnp.inf, jnp.result_type(float))

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The highest losses last seen among the candidates that `key` draws, at a tie those drawn first."""
        if seen is not None:
            memory = jnp.where(seen.heard, seen.values["loss"].astype(memory.dtype), memory)
        # The largest of log p + Gumbel noise, in order, are draws one after the other without replacement.
        score = jnp.log(self.probabilities) + jax.random.gumbel(key, (self.n,), self.probabilities.dtype)
        _, drawn = jax.lax.top_k(score, self.candidates)
        _, best = jax.lax.top_k(memory[drawn], self.participants)
        return plans.clients(jnp.sort(drawn[best].astype(jnp.int32))), memory
