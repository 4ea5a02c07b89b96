"""A server that goes round its clients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.types import Key, Plan, ScheduleState, Seen, static

__all__ = ["CyclicSampling"]


@struct.dataclass
class CyclicSampling:
    """A server talks to m of n nodes at a time, in turn: 0 to m - 1, then the next m, and round again.

    Each node takes part in m of every n rounds exactly, without any chance: as clients do that follow the sun. Where
    data differ from group to group the model follows them round the cycle, which random samples do not make it do.

    Sends:
      1 message a participant and round, to the server.

    Args:
      n: number of nodes, at least 1.
      participants: m, between 1 and n.

    >>> turns = CyclicSampling(5, participants=3)
    >>> plan, following = turns(turns.init(None), 0, None)
    >>> print(plan.participants, turns(following, 1, None)[0].participants)
    [0 1 2] [0 3 4]

    References:
      Eichner, Koren, McMahan, Srebro, Talwar, "Semi-Cyclic Stochastic Gradient Descent", ICML 2019.
      Cho, Sharma, Joshi, Xu, Kale, Zhang, "On the Convergence of Federated Averaging with Cyclic Client
      Participation", ICML 2023.
    """

    n: int = static(minimum=1)
    participants: int = static(minimum=1)

    def __post_init__(self) -> None:
        n, participants = checks.whole("n", self.n, 1), checks.whole("participants", self.participants, 1)
        need = f"got participants={participants} with n={n}, a turn needs at most n; try participants={n}"
        checks.require(participants <= n, need)

    def init(self, key: Key) -> ScheduleState:
        """i32[], the first client of the first round."""
        return jnp.int32(0)

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The clients from `memory` on; neither round nor key matters."""
        m = self.participants
        turn = (memory + jnp.arange(m, dtype=jnp.int32)) % self.n
        return plans.clients(jnp.sort(turn)), (memory + m) % self.n
