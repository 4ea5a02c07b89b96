"""A server that learns the sum of its clients' messages, and no message."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import plan as plans
from jdl import tree
from jdl.exchange import mixing
from jdl.types import Delivery, Each, ExchangeState, Key, Message, Plan, Wire, number, static

__all__ = ["SecureAggregation"]


@struct.dataclass
class SecureAggregation:
    """Secure aggregation: masks of pairs of clients hide each message and cancel in the sum modulo 2^32.

    Client k sends round(w_k Delta_k / unit) + sum_{j > k} r_kj - sum_{j < k} r_kj modulo 2^32, where w_k is its share
    of the weights of the round, which the server knows, and r_kj are uniform bits from a seed that k and j share. The
    server sums what arrives, takes off the masks between clients that arrived and those that did not, whose seeds are
    recovered from the shares of the others, and divides by the weights that arrived. Rounding moves the aggregate by at
    most m unit / 2 for m clients, and more where some are lost. Entries must stay below 2^31 unit. It stands last in
    the network; lossy links and compressors may stand before it. What clients report one by one (`Each`) is not hidden.

    With `double`, client k adds uniform bits b_k of its own as well. Of a client that arrived the others reveal shares
    of the seed of b_k, of one that did not those of its seeds with others, and never both. So a message that comes
    late, when the seeds with others are revealed since its client was thought lost, stays hidden by its b_k. A round of
    which fewer than `threshold` of the clients arrive has too few shares: it is void, as if all messages were lost.

    Sends:
      32 bits a number. Of a round with m clients, `seed_bits` more for each of 2 public keys, and for each of the m - 1
      others for a share of the seed, for its relay, and for the recovery of the masks of one that is lost. With
      `double`, 32 d + seed_bits (7 m - 4) for d numbers, of which what a client receives is a part: 2 public keys of
      each of m clients, 2 shares to and from each of m - 1 others, and m shares to unmask the round, which a client
      that is lost does not send.

    Args:
      unit: the size of a step of the fixed-point numbers, above 0.
      threshold: the share of the clients of a round that must arrive, 0 to 1; 0 for any number.
      seed_bits: the size of a key or of a share, in bits.
      double: whether there are masks of each client as well as of pairs.

    References:
      Bonawitz et al. 2017, Practical Secure Aggregation for Privacy-Preserving Machine Learning, section 4.
    """

    unit: float = number(2.0**-20, minimum=0)
    threshold: float = number(0.0, minimum=0, maximum=1)
    seed_bits: int = static(256, minimum=0)
    double: bool = static(False)

    needs: ClassVar[frozenset[str]] = frozenset({"server"})
    breaks: ClassVar[frozenset[str]] = frozenset({"exact", "per_link", "push"})

    def init(self, message: Message) -> ExchangeState:
        return ()

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        here = wire.plan.links.used
        m = jnp.sum(here, dtype=jnp.float32)
        got = plans.arrived(wire.plan.links)
        enough = jnp.sum(got, dtype=jnp.float32) >= jnp.asarray(self.threshold, jnp.float32) * m
        wire = wire.replace(plan=plans.lose(wire.plan, jnp.broadcast_to(enough, here.shape)))
        links = wire.plan.links
        arrived = plans.arrived(links)
        weights = jnp.where(here, links.weights, 0)
        total = jnp.sum(weights)
        shares = weights / jnp.where(total > 0, total, 1)
        masked: list[jax.Array] = []  # what is on the links, of each plain array

        def rule(_: Plan, own: Message, sent: Message) -> Message:
            part = jnp.sum(jnp.where(arrived, shares, 0))
            sums = []
            for i, x in enumerate(sent):
                fixed = jnp.round(tree.column(shares.astype(x.dtype), x) * x / jnp.asarray(self.unit, x.dtype))
                hidden, left = _masks(x, wire.origin, here, arrived, self.double, jax.random.fold_in(key, i))
                masked.append(fixed.astype(jnp.int32).astype(jnp.uint32) + hidden)
                found = jnp.sum(tree.where_rows(arrived, masked[-1], jnp.zeros_like(hidden)), 0, jnp.uint32) - left
                sums.append(found.astype(jnp.int32))
            scale = self.unit / jnp.where(part > 0, part, 1)
            return [x.astype(y.dtype) * scale.astype(y.dtype) for x, y in zip(sums, own, strict=True)]

        inbox = mixing.inboxes(wire, rule)
        parts, structure = jax.tree.flatten(wire.sent, is_leaf=_is_each)
        rest = iter(masked)
        sent = [part if _is_each(part) else next(rest) for part in parts]
        keys = 2 + 3 * jnp.maximum(m - 1, 0)
        if self.double:
            keys = 2 * m + 4 * jnp.maximum(m - 1, 0) + jnp.where(got, m, 0)
        seeds = self.seed_bits * keys if masked else 0
        bits = jnp.where(wire.bits > 0, tree.bits(sent) + seeds, 0).astype(wire.bits.dtype)
        (delivery,) = mixing.delivered(wire)
        return inbox, state, (delivery.replace(bits=bits, sent=structure.unflatten(sent)),)


def _masks(
    x: jax.Array, origin: jax.Array, here: jax.Array, arrived: jax.Array, double: bool, key: Key
) -> tuple[jax.Array, jax.Array]:
    """The sum of each row's masks, u32[s, ...], and of those that do not cancel in what arrives, u32[...]."""

    def drawn(low: jax.Array, high: jax.Array) -> jax.Array:
        keys = jax.vmap(lambda a, b: jax.random.fold_in(jax.random.fold_in(key, a), b))(low, high)
        return jax.vmap(lambda one: jax.random.bits(one, x.shape[1:], jnp.uint32))(keys)

    def add(j: jax.Array, sums: tuple) -> tuple:
        bits = drawn(jnp.minimum(origin, origin[j]), jnp.maximum(origin, origin[j]))
        # A client has no mask with itself, nor with one that is not in the round.
        sign = jnp.where(here & here[j], jnp.sign(origin[j] - origin), 0).astype(jnp.uint32)
        signed = tree.column(sign, bits) * bits
        lost = tree.where_rows(arrived & ~arrived[j], signed, jnp.zeros_like(signed))
        return sums[0] + signed, sums[1] + jnp.sum(lost, 0, jnp.uint32)

    zero = jnp.zeros(x.shape, jnp.uint32)
    hidden, left = jax.lax.fori_loop(np.int32(0), np.int32(x.shape[0]), add, (zero, zero[0]))
    if not double:
        return hidden, left
    own = drawn(origin, origin)  # of the pair of a client with itself, which has no mask above
    revealed = tree.where_rows(arrived, own, zero)
    return hidden + own, left + jnp.sum(revealed, 0, jnp.uint32)


def _is_each(part: Message) -> bool:
    return isinstance(part, Each)
