"""Links that rest in most rounds, and bring what they brought last."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.exchange.faults.mailbox import Box, empty, read
from jdl.exchange.linear import Linear
from jdl.exchange.links import ends
from jdl.topology import Topology
from jdl.topology.cycles.multigraph import uses
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number, static

__all__ = ["RestingLinks"]


class State(NamedTuple):
    box: Box
    t: jax.Array  # i32[], the number of exchanges before this one
    inner: ExchangeState


@struct.dataclass
class RestingLinks:
    """Slow links rest: each carries a message every few rounds, which is read again until the next one comes.

    x_i(t + 1) = W_ii x_i(t) + sum_j W_ij x_j(t - t mod every_ij): all links are used in round 0, those of every_ij = 1
    in each round. A link that rests carries nothing, costs nothing, and keeps nobody waiting: with a clock, a round
    lasts as long as its slowest link that is used. `RestingLinks.of` chooses `every` by measured delays. In
    `jdl.topology.multigraph_of`, links that rest have no weight; here W is that of the whole graph in each round.

    Sends:
      the message, unchanged, on the links that do not rest.

    Memory:
      the last `rounds` + 1 messages of each node.

    Args:
      every: i32[n, n], by receiver and sender: a link is used in rounds that are multiples of it, at least 1.
      rounds: the largest age of a message that is read, the largest `every` of a link less 1.
      inner: the exchange that receives what is read.

    Raises:
      InputError: if `every` is not [n, n].

    References:
      Do, Nguyen, Pham, Tran, Tjiputra, Tran, Nguyen, "Reducing Training Time in Cross-Silo Federated Learning using
      Multigraph Topology", ICCV 2023 (from memory: nodes reuse stale models of links that rest). Of the authors' code
      the multiplicities and the use of links were read; delays there vary with the time that is left of the last round,
      and are constant here.
    """

    every: jax.Array = number(minimum=1)
    rounds: int = static(4, minimum=0)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "one_by_one", "fixed_links"})
    # Not "prompt": what is sent in a round is there in this round, and a clock waits for nothing else.
    breaks: ClassVar[frozenset[str]] = frozenset(
        {"reliable", "symmetric", "doubly_stochastic", "column_stochastic", "per_link", "push"}
    )

    @classmethod
    def of(cls, topology: Topology, delays: Any, multiplicity: int = 5) -> Self:
        """Links that rest the longer, the slower they are: every = min(multiplicity, round(delay / shortest delay)).

        Args:
          topology: the graph of the run, whose links are compared.
          delays: `[n, n]`, in any unit: delay of each link, by receiver and sender, above 0; others are not read.
          multiplicity: the largest number of rounds from one use of a link to the next, at least 1.

        Raises:
          InputError: if a link has no delay, or one that is not positive and finite.

        >>> from jdl.topology import chain
        >>> delays = np.array([[0, 10, 0], [10, 0, 21], [0, 21, 0]])
        >>> RestingLinks.of(chain(3), delays).every.tolist()
        [[1, 1, 1], [1, 1, 2], [1, 2, 1]]
        """
        multiplicity, times = checks.whole("multiplicity", multiplicity, 1), np.asarray(delays, float)
        n = topology.n
        shape = f"got delays of shape {times.shape}, need [{n}, {n}], one for each link; give a matrix"
        checks.require(times.shape == (n, n), shape)
        links = topology.weights.tocoo()
        receiver, sender = (end[links.row != links.col] for end in (links.row, links.col))
        of_links = times[receiver, sender]
        good = bool(np.all(np.isfinite(of_links) & (of_links > 0)))
        need = "need one above 0 for each link of the graph; correct them"
        checks.require(good, f"got delays of links that are 0, negative or not finite, {need}")
        every = np.ones((n, n), np.int32)
        every[receiver, sender] = uses(of_links, multiplicity)
        return cls(every=jnp.asarray(every), rounds=int(every.max()) - 1)

    def init(self, message: Message) -> ExchangeState:
        return State(empty(message, self.rounds), jnp.int32(0), self.inner.init(message))

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        n = plans.rows(wire.plan)
        need = f"got every of shape {self.every.shape}, need [{n}, {n}]; see jdl.exchange.RestingLinks.of"
        checks.require(self.every.shape == (n, n), need)
        every = self.every[ends(wire.replace(plan=plans.one_by_one(wire.plan)))].astype(jnp.int32)
        # A larger `every` than the memory serves would read a message that is gone.
        age = state.t % jnp.minimum(every, self.rounds + 1)
        ages = lambda wire: (age, jnp.ones_like(wire.plan.links.used))
        inbox, box, inner, deliveries = read(self, state.box, state.inner, wire, ages, key)

        def carried(delivery: Delivery) -> Delivery:
            links, fresh = delivery.plan.links, age == 0
            links = links.replace(used=links.used & fresh, arrived=plans.arrived(links) & fresh)
            return delivery.replace(plan=delivery.plan.replace(links=links))

        return inbox, State(box, state.t + 1, inner), tuple(map(carried, deliveries))
