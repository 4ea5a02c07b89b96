"""The clock of a simulation, put together from its parts."""

from __future__ import annotations

from typing import ClassVar

import jax
from flax import struct

from jdl.clock.links.fair_share import FairShare
from jdl.types import LinkTime, StepTime, Wait, number, static

__all__ = ["Clock"]


@struct.dataclass
class Clock:
    """What a round costs in simulated seconds and joules. The clock changes nothing that is learned, unless it waits.

    Every node has a clock of its own, which begins at 0. In an exchange, node i computes the steps on which its message
    depends, sends, computes the steps that depend on nothing that arrives, waits for the messages of its neighbours,
    and computes the rest:

        ready_i = c_i + before s_i,    c_i <- max(ready_i + beside s_i,  max over j of arrival_ij) + after s_i

    with s_i the seconds of one step and arrival_ij = ready_j + the time on the link. This is a product of a matrix with
    the clocks in the (max, +) algebra, over the links over which the models travel. How many steps are before, beside
    and after is read off the program of the method, so that a method which hides its messages behind its computation
    is as fast as it would be. A step is one gradient of one minibatch; a product with a Hessian counts as two.

    A message that is lost, or that is not sent, keeps nobody waiting. A node that sleeps stands still: it goes on from
    where its clock stopped, or from the messages for which it waits. A server begins a round when the last round ended,
    the clients when its message is there, and the round ends as `wait` says; clients that are late are told to stop.

    All copies that an exchange sends over a link are one transfer: repeated gossip pays its latency once. What a node
    downloads when it joins takes no time.

    Among peers, `wait` says for each node how long it waits after its own steps: what is there by then is mixed, and
    later messages to it are lost. A message may be late where the one in the other direction is in time, so that
    links are directed, and the weight of a late message goes home as in `jdl.exchange.Lossy` on directed links.

    Adds the columns `simulated_seconds` (the clock of the last node, or of the server), `idle_share` (the share of the
    time of all nodes in which they did not compute), `joules` (of all nodes) and `bits_received` (by all nodes
    and the server; what is sent and not received was lost).

    Args:
      step: how long a step takes: seconds, f[] or f[n], or a part such as `LogNormal`.
      links: how long messages travel; by default 100 Mbit/s in each direction and 10 ms.
      wait: for whom a server waits, or each peer; None for everybody.
      steps: the steps of a node in a round, all before its first message; None to read them off the method, which is
        possible unless their number depends on data or on the round.
      watts: the power of a node that computes, in joules a second, f[] or f[n].
      joules_per_bit: what it costs to send a bit: f[] for all and for a server; f[n] for each node, and nothing for a
        server; or f[n + 1] with the server last.

    >>> Clock(step=0.2, links=FairShare(up=8e6, down=8e6, latency=0.0)).step
    0.2

    References:
      Baccelli, Cohen, Olsder, Quadrat, "Synchronization and Linearity", 1992, chapter 2 (timed event graphs).
    """

    step: StepTime | jax.Array | float = number(0.1, minimum=0)
    links: LinkTime = FairShare()
    wait: Wait | None = None
    steps: float | None = static(None)
    watts: jax.Array | float = number(0.0, minimum=0)
    joules_per_bit: jax.Array | float = number(0.0, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"prompt"})

    @property
    def breaks(self) -> frozenset[str]:
        """What does not hold where late messages are lost, in one direction."""
        return frozenset() if self.wait is None else frozenset({"reliable", "symmetric", "doubly_stochastic"})
