"""Trainers and aggregators that all nodes know by a hash of the round."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.schedule.handoff import handoff
from jdl.types import Key, Plan, ScheduleState, Seen, number, static

__all__ = ["Modest"]


@struct.dataclass
class Modest:
    """A hash of round and node chooses trainers and aggregators, of whose models a share is enough (MoDeST, Plexus).

    With D-PSGD this is federated averaging whose server is another node each time. In iteration k the trainers S_k are
    the first s nodes that are alive, in the order of their hashes with k. They take their local steps, and send their
    models to the aggregators, the first of the nodes alive in the order of iteration k + 1. An aggregator goes on with
    the first floor(success s) models, at least 1, or with all there are if fewer trainers are alive, and averages them:

        z_g = mean over i in R_g of x_i,    x_j <- z_g(j) for j in S_(k+1),

    where R_g are random trainers that are still alive, other ones for each aggregator, and g(j) is the aggregator that
    j hears first: itself, or a random one. An iteration is two rounds, models up and models down, and nobody computes
    in the second. All others sleep, their models going stale: the models that count are those of the next trainers,
    after an even number of rounds. An aggregator without any model hands on the one that it has. Row stochastic.

    The hash is drawn by JAX from the seed of the run, the round and the node. That all nodes agree on who is alive
    (views and pings) is taken for granted; what they cost is not counted.

    Sends:
      in an iteration, success s models to each aggregator, and one to each next trainer that is no aggregator. Models
      for which an aggregator or a trainer has no use any more are not counted.

    Args:
      n: number of nodes, at least 1.
      trainers: trainers of an iteration, s, between 1 and n.
      aggregators: aggregators of an iteration, between 1 and s.
      success: the share of the models of the trainers for which an aggregator waits, 0 to 1; a leaf.
      alive: bool[T, n], who is alive in each iteration; its last row holds from then on. None for everybody. A trainer
        that is not alive in the next iteration has failed before it sent its model.

    Raises:
      InputError: for more trainers than nodes or more aggregators than trainers, or an `alive` of another shape.

    >>> import jax
    >>> talk = Modest(6, trainers=3)
    >>> plan, _ = talk(talk.init(jax.random.key(0)), 0, jax.random.key(1))
    >>> int(plan.works.sum()), round(float(plan.links.weights.sum() + plan.self_weights.sum()), 4)
    (3, 6.0)

    References:
      de Vos, Dhasade, Kermarrec, Lavoie, Pouwelse, "MoDeST: Bridging the Gap between Federated and Decentralized
      Learning with Decentralized Sampling", 2023; Dhasade et al., "Practical Federated Learning without a Server",
      EuroMLSys 2025 (Plexus). Read in the authors' code: the order by hash, floor(success s), and that a trainer takes
      the first model that it hears.
    """

    n: int = static(minimum=1)
    trainers: int = static(4, minimum=1)
    aggregators: int = static(1, minimum=1)
    success: float | jax.Array = number(1.0, minimum=0, maximum=1)
    alive: jax.Array | None = None

    def __post_init__(self) -> None:
        n, s, a = (checks.whole(name, getattr(self, name), 1) for name in ("n", "trainers", "aggregators"))
        checks.require(s <= n, f"got trainers={s} with n={n}, no more than all nodes can train; try trainers={n}")
        fewer = f"got aggregators={a} with trainers={s}, the aggregators are the first of the next trainers"
        checks.require(a <= s, f"{fewer}; try aggregators={s}")
        shape = np.shape(self.alive)
        if self.alive is not None and isinstance(self.alive, np.ndarray | jax.Array):
            need = f"need bool[T, n] with n={n}; try np.ones((1, {n}), bool)"
            checks.require(len(shape) == 2 and shape[1] == n and shape[0] > 0, f"got alive of shape {shape}, {need}")

    def init(self, key: Key) -> ScheduleState:
        """i32[], what is hashed together with the round and the node."""
        return jax.random.randint(key, (), 0, jnp.iinfo(jnp.int32).max, jnp.int32)

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """Models up in even rounds, and down in odd ones; `key` draws which are the first to arrive."""
        t = jnp.asarray(t, jnp.int32)
        s, a, k = self.trainers, self.aggregators, t // 2
        now, later = self._there(k), self._there(k + 1)
        train, following = self._order(memory, k, now)[:s], self._order(memory, k + 1, later)[:s]
        up = self._up(key, train, now[train] & later[train], following[:a], later[following[:a]])
        down = self._down(key, following, later[following])
        senders, receivers, weights = (
            jnp.where(t % 2 == 0, first, second) for first, second in zip(up, down, strict=True)
        )
        plan = handoff(self.n, senders, receivers, weights)
        # All who are alive train, whether their model comes in time or not.
        works = jnp.zeros(self.n, bool).at[train].set(now[train]) & (t % 2 == 0)
        return plan.replace(works=works, active=plan.active | works), memory

    def _there(self, k: jax.Array) -> jax.Array:
        """Who is alive in iteration k, bool[n]."""
        if self.alive is None:
            return jnp.ones(self.n, bool)
        table = jnp.asarray(self.alive, bool)
        return table[jnp.minimum(k, table.shape[0] - 1)]

    def _order(self, memory: ScheduleState, k: jax.Array, there: jax.Array) -> jax.Array:
        """The nodes in the order of their hashes with iteration k, those that are alive first."""
        hashes = jax.random.bits(jax.random.fold_in(jax.random.fold_in(jax.random.key(0), memory), k), (self.n,))
        return jnp.lexsort((hashes, ~there)).astype(jnp.int32)

    def _up(
        self, key: Key, train: jax.Array, sends: jax.Array, to: jax.Array, ready: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Senders, receivers and weights, [a s]. A place without a model names its receiver, with weight zero."""
        s, a = self.trainers, self.aggregators
        real, sends = jnp.result_type(float), sends[None, :]
        wanted = jnp.maximum(jnp.floor(s * jnp.asarray(self.success, real) + 1e-4), 1).astype(jnp.int32)
        turn = jnp.where(sends, jax.random.uniform(key, (a, s)), 2.0)
        first = jnp.argsort(jnp.argsort(turn, axis=1), axis=1).astype(jnp.int32) < wanted
        heard = sends & first & ready[:, None]
        ready = ready.at[0].set(True)  # who is named where an aggregator is missing
        count = jnp.sum(heard, axis=1, keepdims=True)
        weights = heard.astype(real) / jnp.maximum(count, 1).astype(real)
        alone = (count[:, 0] == 0) & ready
        weights = weights.at[:, 0].add(alone.astype(real))
        receivers = jnp.broadcast_to(jnp.where(ready, to, to[0])[:, None], (a, s))
        return jnp.where(heard, train[None, :], receivers).ravel(), receivers.ravel(), weights.ravel()

    def _down(self, key: Key, to: jax.Array, ready: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The same for the next trainers `to`, of which the first are the aggregators."""
        s, a = self.trainers, self.aggregators
        place = jnp.arange(s, dtype=jnp.int32)
        there = jnp.maximum(jnp.sum(ready[:a], dtype=jnp.int32), 1)
        chosen = jax.random.randint(key, (s,), 0, there, jnp.int32)
        receivers = jnp.where(ready, to, to[0])
        senders = jnp.where(ready, to[jnp.where(place < a, place, chosen)], to[0])
        weights = jnp.where(ready | (place == 0), 1, 0).astype(jnp.result_type(float))
        more = (a - 1) * s
        fill = jnp.full(more, to[0])
        return (
            jnp.append(senders, fill),
            jnp.append(receivers, fill),
            jnp.append(weights, jnp.zeros(more, weights.dtype)),
        )
