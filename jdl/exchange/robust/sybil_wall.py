"""SybilWall: FoolsGold among peers, who tell each other of models that they have seen."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.exchange import mixing
from jdl.exchange.robust.combine import combined
from jdl.exchange.robust.fools_gold import trust
from jdl.exchange.robust.memory import plain_parts
from jdl.exchange.robust.passed_on import Kept, nothing_kept, passed_on
from jdl.exchange.robust.sketch import measured
from jdl.exchange.robust.turns import in_turns, rows_together
from jdl.types import Delivery, ExchangeState, Key, Message, Plan, Wire, number, static

__all__ = ["SybilWall"]

IDS = 96  # bits of whose history it is, of which round, and how far it travelled


class State(NamedTuple):
    t: jax.Array
    last: jax.Array  # f[n, d], the history of each node
    kept: Kept


@struct.dataclass
class SybilWall:
    """SybilWall: neighbours whose models resemble each other, or models from farther away, count less, as in FoolsGold.

    (x_i + sum_j a_j x_j) / (1 + sum_j a_j), over the neighbours j of node i. a_j is the trust that FoolsGold has in j
    by the cosine similarities of all histories that i knows: of its neighbours, and of distant nodes, which neighbours
    pass on. A history is the sum of the differences between the successive models of a node, from zero, and so its last
    model. In each round each node passes to each neighbour one history that it knows, drawn with probability
    proportional to exp(-decay (hops - 1)): not that of either of the two, and not what this neighbour told it. A node
    keeps the newest of each distant node; where it has no place, the oldest one goes. Liars pass on the truth. All
    arrays of a message are one vector. The weights of W are ignored. It stands last in the network.

    Sends:
      the message, and from the second round on one history, of 32 bits a number and 96 for its origin, on every link.

    Memory:
      the last model of each node and `kept` models for each, in 32 bits, or `sketch` numbers for each array in place of
      each model; within a round twice that, and the histories that a few nodes know.

    Args:
      decay: how much less likely a history is drawn for each link more that it travelled.
      kept: histories of distant nodes that a node keeps. The authors keep all.
      sketch: length of a count sketch of each array of a history; None for the arrays themselves.

    Raises:
      InputError: if there is more than one message of a node.

    References:
      Werthenbach, Pouwelse 2023, Towards Sybil Resilience in Decentralized Learning, read in public copies of the
      authors' code. Its `aggregate` gives weights of distant histories to models, and to the node's own where there are
      some; here distant histories lower the trust in neighbours and have no weight themselves.
    """

    decay: float = number(0.8, minimum=0)
    kept: int = static(8, minimum=0)
    sketch: int | None = static(None, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one", "peers", "reliable", "fixed_links"})
    # What arrives one by one is not averaged, and has no history here.
    breaks: ClassVar[frozenset[str]] = frozenset({"column_stochastic", "each", "per_link", "push"})

    def init(self, message: Message) -> ExchangeState:
        last = self._histories([jnp.zeros(x.shape, x.dtype) for x in plain_parts(message)])
        return State(jnp.int32(0), last, nothing_kept(last.shape[0], self.kept, last.shape[1]))

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        after, rows, m = state, wire.bits.shape[0], plans.rows(wire.plan)
        do = "leave out what adds messages, such as a lie for each victim"
        checks.require(rows == m, f"got {rows} messages of {m} nodes, need one of each for SybilWall; {do}")

        def rule(plan: Plan, own: Message, sent: Message) -> Message:
            nonlocal after
            mixing.require_real(own)
            plan = plans.one_by_one(plan)
            who, used = plans.senders(plan.links), plan.links.weights != 0
            finite = [jnp.all(jnp.isfinite(x.reshape(x.shape[0], -1)), axis=1) for x in sent]
            finite = jnp.all(jnp.stack(finite), axis=0)
            last = jnp.where(finite[:, None], self._histories(sent), 0)
            decay = jnp.asarray(self.decay, jnp.float32)
            kept = passed_on(state.kept, state.last, state.t, who, used, decay, key)
            after = State(state.t + 1, last, kept)
            there = used & finite[who]

            def trusted(rows: jax.Array) -> jax.Array:
                known = jnp.concatenate([last[who[rows]], kept.history[rows]], axis=1)
                present = jnp.concatenate([there[rows], kept.peer[rows] >= 0], axis=1)
                norms = jnp.sqrt(jnp.sum(known * known, axis=2, keepdims=True))
                units = known / jnp.where(norms > 0, norms, 1)
                cosines = jnp.einsum("ckd,cld->ckl", units, units, precision="highest")
                cosines = jnp.where(present[:, :, None] & present[:, None, :], cosines, 0)
                return jax.vmap(trust)(cosines, present)[:, : who.shape[1]]

            size = (who.shape[1] + self.kept) * last.shape[1]
            others = in_turns(trusted, who.shape[0], rows_together(size)).astype(plan.self_weights.dtype)
            total = 1 + jnp.sum(others, axis=1, keepdims=True)
            return combined(plan, own, sent, jnp.concatenate([1 / total, others / total], axis=1))

        inbox = mixing.inboxes(wire, rule)
        more = jnp.where((wire.bits > 0) & (state.t > 0), 32 * state.last.shape[1] + IDS, 0).astype(wire.bits.dtype)
        return inbox, after, mixing.delivered(wire.replace(bits=wire.bits + more))

    def _histories(self, sent: list[jax.Array]) -> jax.Array:
        """f[n, d], messages as one vector each, or their sketches, with the same signs in all rounds."""
        sketched = measured(sent, sent, self.sketch, jax.random.key(0))[0]
        return jnp.concatenate([x.reshape(x.shape[0], -1).astype(jnp.float32) for x in sketched], axis=1)
