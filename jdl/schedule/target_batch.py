"""Rounds that end when all peers together have seen a given number of examples; peers join and leave meanwhile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.schedule.target_batch_events import planned
from jdl.types import Key, Plan, ScheduleState, Seen, Server, static

__all__ = ["TargetBatch"]


@struct.dataclass
class TargetBatch:
    """A batch of fixed size, whoever is there: a round ends when the peers together have done `target` microbatches.

    Each peer computes microbatches at its own speed, all at the model of the round. When `target` of them are done, the
    peers average their gradients, weighted by how many microbatches each has done, and the next round begins: one step
    of SGD with a batch of the same size in every round (DeDLOC, hivemind). In the plan a server stands for the state
    that all peers share, and for their all-reduce. `FedAvg(local_steps=1, weighted=False)` is that step with the right
    weights and times; but it computes one minibatch of each peer, however many microbatches that stands for, so that
    its gradients are as noisy as those of one. Microbatches under way when a round ends are given up.

    With `local` each microbatch is a local step of its peer, and the models of those who took any are averaged, all
    with the same weight, by `FedAvg(local_steps=plan.most, weighted=False)`: a peer takes as many steps as it has time
    for.

    A peer that joins downloads the state first, and takes part from the first round on that begins when it has. One
    that leaves before the target is reached takes its microbatches along, and the others compute more.

    Sends:
      1 message a round of each peer that has done a microbatch, and the state to it.

    Args:
      counts: i32[T, n], the microbatches of each peer in each round.
      seconds_at: f[T + 1], the second at which the first t rounds have ended.
      local: whether microbatches are local steps, of models that are averaged (True), or parts of one batch (False).

    >>> plan = TargetBatch.of([1.0, 2.5], target=4, rounds=2)
    >>> print(plan.counts.tolist(), plan.seconds_at)
    [[3, 1], [3, 1]] [0. 3. 6.]

    References:
      Diskin et al., "Distributed Deep Learning in Open Collaborations", NeurIPS 2021, section 3.1 (from memory). Of the
      authors' library the trigger of the average was read: accumulated examples reach the target, counted over peers of
      the newest state.
    """

    counts: jax.Array
    seconds_at: jax.Array
    local: bool = static(False)

    @classmethod
    def of(
        cls,
        seconds: Any,
        target: int,
        rounds: int,
        joins: Mapping[int, float] | None = None,
        leaves: Mapping[int, float] | None = None,
        download: float = 0.0,
        averaging: float = 0.0,
        local: bool = False,
    ) -> Self:
        """Plan the rounds of peers with these speeds.

        Args:
          seconds: f[n], the seconds of a microbatch of each peer, more than 0.
          target: the microbatches after which a round ends, at least 1: the batch over the size of a microbatch.
          rounds: number T of rounds to plan, at least 1.
          joins: peer -> the second at which it joins; the others are there from the start.
          leaves: peer -> the second at which it leaves, after it has joined; the others stay.
          download: seconds in which a peer that joins downloads the state.
          averaging: seconds of the average at the end of a round, see `jdl.theory.all_reduce_seconds`.
          local: whether microbatches are local steps.

        Raises:
          InputError: if a number is out of range, or if nobody is left before the rounds are over.
        """
        times = np.asarray(seconds, np.float64)
        good = times.ndim == 1 and times.size > 0 and bool(np.all(np.isfinite(times) & (times > 0)))
        checks.require(good, f"got seconds={seconds!r}, need a time above 0 for each peer, f[n]; try [1.0, 1.0, 2.5]")
        n, target, rounds = len(times), checks.whole("target", target, 1), checks.whole("rounds", rounds, 1)
        for name, value in (("download", download), ("averaging", averaging)):
            checks.require(0 <= value < math.inf, f"got {name}={value}, need seconds of at least 0; try {name}=0.0")
        ready, end = np.zeros(n), np.full(n, np.inf)
        for node, second in (joins or {}).items():
            ready[_peer("joins", node, second, n)] = second + download
        for node, second in (leaves or {}).items():
            end[_peer("leaves", node, second, n)] = second
        counts, seconds_at = planned(times, target, rounds, ready, end, averaging)
        return cls(jnp.asarray(counts), seconds_at, local)

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.counts.shape[1]

    @property
    def most(self) -> int:
        """The most microbatches of a peer in a round."""
        return int(np.max(self.counts))

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The peers of round t with their weights; the key does not matter. Nobody acts after the last round."""
        last, dtype = self.counts.shape[0] - 1, jnp.result_type(float)
        counts = jnp.where(t <= last, self.counts[jnp.minimum(t, last)], 0)
        used = counts > 0
        plan = Plan(
            links=Server(weights=(used if self.local else counts).astype(dtype), used=used),
            self_weights=jnp.zeros(used.shape, dtype),
            active=used,
            steps=counts if self.local else None,
            participants=jnp.arange(self.n, dtype=jnp.int32),
            stochastic="row",
        )
        return plan, memory


def _peer(name: str, node: int, second: float, n: int) -> int:
    """The number of a peer, checked with its second."""
    node = checks.whole(f"peer of {name}", node, 0)
    checks.require(node < n, f"got {name} of peer {node}, need one of n={n} peers, counted from 0; try {n - 1}")
    good = 0 <= second < math.inf
    checks.require(good, f"got {name}={second} of peer {node}, need a second of at least 0; correct it")
    return node
