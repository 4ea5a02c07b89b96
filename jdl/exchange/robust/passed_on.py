"""Histories of distant nodes, which neighbours pass on to each other, and the few that each node keeps."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jdl.types import Key

__all__ = ["Kept", "nothing_kept", "passed_on"]


class Kept(NamedTuple):
    """The histories of distant nodes that each of n nodes keeps, at most q of them.

    Attributes:
      peer: i32[n, q], whose history it is; -1 for an empty place.
      round: i32[n, q], the round of its last message.
      hops: i32[n, q], how many links it travelled, the first message included.
      via: i32[n, q], the neighbour that passed it on.
      history: f[n, q, d].
    """

    peer: jax.Array
    round: jax.Array
    hops: jax.Array
    via: jax.Array
    history: jax.Array


def nothing_kept(n: int, places: int, size: int) -> Kept:
    """Empty places."""
    none = jnp.full((n, places), -1, jnp.int32)
    return Kept(none, none, none, none, jnp.zeros((n, places, size), jnp.float32))


def passed_on(
    kept: Kept, last: jax.Array, t: jax.Array, who: jax.Array, used: jax.Array, decay: jax.Array, key: Key
) -> Kept:
    """Each node passes one history to each neighbour, drawn by its distance, and keeps what is new to it.

    Args:
      kept: what nodes keep.
      last: f[n, d], the histories of all nodes after the round before. A node knows those of its neighbours.
      t: i32[], this round; nothing is passed on in round 0.
      who: i32[n, k], the neighbours of each node.
      used: bool[n, k], which places hold a link on which messages arrive.
      decay: f[], a history that travelled h links is drawn with a weight of exp(-decay (h - 1)).
      key: of the draws of this round.
    """
    n, k = who.shape
    # In the order of their numbers, and draws by numbers, so that all forms of a plan do the same.
    order = jnp.argsort(jnp.where(used, who, n), axis=1)
    who, used = jnp.take_along_axis(who, order, axis=1), jnp.take_along_axis(used, order, axis=1)
    mine, place = jnp.arange(n, dtype=jnp.int32), jnp.arange(kept.peer.shape[1], dtype=jnp.int32)
    direct = lambda i, peer: jnp.any(used[i] & (who[i] == peer[:, None]), axis=1)

    def drawn(i: jax.Array, sender: jax.Array, peer: jax.Array) -> jax.Array:
        one = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, i), sender), peer)
        return jax.random.gumbel(one, (), decay.dtype)

    def from_slot(s: jax.Array, now: Kept) -> Kept:
        sender = who[:, s]
        # The sender knows its neighbours, after their last messages, and what it keeps; it draws one for this receiver.
        near, far = who[sender], Kept(*(x[sender] for x in kept[:-1]), None)
        peers = jnp.concatenate([near, far.peer], axis=1)
        hops = jnp.concatenate([jnp.ones_like(near), far.hops], axis=1)
        rounds = jnp.concatenate([jnp.full_like(near, t - 1), far.round], axis=1)
        there = jnp.concatenate([used[sender], (far.peer >= 0) & (far.via != mine[:, None])], axis=1)
        there = there & (peers != mine[:, None]) & (peers != sender[:, None])
        draw = jnp.vectorize(drawn)(mine[:, None], sender[:, None], peers)
        best = jnp.argmax(jnp.where(there, draw - decay * (hops - 1).astype(decay.dtype), -jnp.inf), axis=1)
        take = lambda x: jnp.take_along_axis(x, best.astype(jnp.int32)[:, None], axis=1)[:, 0]
        peer, when = take(peers), take(rounds)
        old = kept.history[sender, jnp.maximum(best.astype(jnp.int32) - k, 0)]
        history = jnp.where((best < k)[:, None], last[peer], old)
        news = used[:, s] & take(there) & ~direct(mine, peer) & (t > 0)
        # It takes its own place, or else an empty one, which is of round -1, or that of the oldest.
        same = now.peer == peer[:, None]
        oldest = jnp.argmin(now.round, axis=1).astype(jnp.int32)
        at = jnp.where(jnp.any(same, axis=1), jnp.argmax(same, axis=1).astype(jnp.int32), oldest)
        news = news & (when > now.round[mine, at])
        put = (place[None, :] == at[:, None]) & news[:, None]
        set_ = lambda x, value: jnp.where(put, value[:, None], x)
        there_now = now.history[mine, at]
        return Kept(
            set_(now.peer, peer),
            set_(now.round, when),
            set_(now.hops, take(hops) + 1),
            set_(now.via, sender),
            now.history.at[mine, at].set(jnp.where(news[:, None], history, there_now)),
        )

    return jax.lax.fori_loop(0, k, from_slot, kept) if kept.peer.shape[1] else kept
