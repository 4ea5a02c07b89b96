"""Gossip learning: models walk over the network, are merged by their ages, and learn where they arrive."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, local, tree
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["GossipLearning"]

MERGES = ("age", "mean", "none", "limited")
NOTHING = 1e-6  # what rounding leaves of a weight of zero


class State(NamedTuple):
    x: PyTree  # the model
    age: jax.Array  # how many steps of SGD are in it, on the longest way: f[], or f[partitions]


@struct.dataclass
class GossipLearning:
    """Gossip learning, merge by age then step: x <- (t_a x_a + t_b x_b) / (t_a + t_b), x <- x - lr g(x).

    A model carries its age t, the number of its steps. Where a model arrives, it is merged with the receiver's own, and
    the larger age is that of both; the merged model takes a step on the receiver's data, and its age grows by one. A
    model of age 0 counts nothing beside an older one, and two of age 0 count alike. Where several models arrive, their
    means by W_ij, of models and of ages, stand for the other model. If it is lost, its receiver takes the step alone.

    With `merge="limited"`, two models whose ages differ by more than `limit` are not merged: the older one stays as it
    is, in place of both. With `partitions` = p > 1, the numbers of the model, in the order of its arrays, are cut into
    p parts of one size or one more, each with an age of its own. A message carries one part, which its sender draws at
    random, and its age; that part alone is merged. A step is one on the whole model, and all ages grow by one.

    It is made for `jdl.schedule.Waves.push`, in which a node sends and the one that hears it works. Ages that are equal
    make it plain averaging, x_i <- sum_j W_ij x_j - lr g_i(sum_j W_ij x_j), which is `CTA`.

    Sends:
      the model and its age, once an event; or a part of it, its age, and ceil(log2 p) bits that say which part.

    Memory:
      1 model per node, and p ages.

    Args:
      lr: step size.
      merge: "age" for weights by age; "mean" for those of W, a plain average of a pair; "none" for the model that
        arrives in place of the own one, so that models walk at random; "limited" for weights by age among near ages.
      limit: the largest difference of the ages of two models that are merged, in steps; for merge="limited" alone.
      partitions: number p of parts of the model, at least 1; 1 for messages that carry all of it.
      decay: function of the age that returns a factor on lr, or None for a constant lr; each part has its own factor.

    References:
      Ormandi, Hegedus, Jelasity 2013, Gossip learning with linear models on fully distributed data (create, merge,
      update). Hegedus, Danner, Jelasity 2019, Gossip Learning as a Decentralized Alternative to Federated Learning (the
      merge by age). Hegedus, Danner, Jelasity 2021, Decentralized learning works (partitions). Danner, Hegedus,
      Jelasity 2023, Improving Gossip Learning via Limited Model Merging. The merges were read in the code of
      makgyver/gossipy (`model/handler.py`): what arrives counts t_b / (t_a + t_b), nothing at age 0. There a part of
      age t takes steps lr / t, here with `decay=lambda t: 1 / (1 + t)`, as t counts the steps before.
    """

    lr: float = number(0.1, minimum=0)
    merge: str = static("age")
    decay: local.Decay | None = static(None)
    limit: float = number(1.0, minimum=0)
    partitions: int = static(1, minimum=1)

    asynchronous: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def __post_init__(self) -> None:
        if self.merge not in MERGES:
            raise checks.InputError(f'got merge={self.merge!r}, need one of {", ".join(MERGES)}; try merge="age"')

    def init(self, params: PyTree, node: Node) -> State:
        size = sum(leaf.size for leaf in jax.tree.leaves(params))
        p, most = checks.whole("partitions", self.partitions, 1), f"try partitions={size}"
        checks.require(p <= size, f"got partitions={p} of a model of {size} numbers, need no more parts; {most}")
        return State(params, jnp.zeros(() if p == 1 else p, jnp.result_type(float)))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        if self.partitions == 1:
            return state, state
        drawn = self._drawn(node)
        bits = lambda part, x: jnp.sum(part == drawn, dtype=jnp.float32) * (x.dtype.itemsize * 8)
        beside = state.age.dtype.itemsize * 8 + math.ceil(math.log2(self.partitions))
        sizes = jax.tree.leaves(jax.tree.map(bits, local.places(state.x, self.partitions), state.x))
        return Sized(self._message(state, drawn), sum(sizes) + beside), state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        if self.partitions > 1:
            return self._recv_part(state, inbox, node), {}
        mean, mean_age = inbox
        weight = 1 - node.self_weight.astype(mean_age.dtype)  # of what arrives
        part = 1 / jnp.where(weight > 0, weight, 1)
        other = jnp.maximum(state.age + (mean_age - state.age) * part, 0)
        # How far the own model goes on its way to the mean: all of it where ages are equal.
        by_age = jnp.where(mean_age > 0, other / jnp.where(mean_age > 0, mean_age, 1), 1)
        way = {"age": by_age, "mean": 1, "none": part, "limited": self._limited(by_age, part, state.age, other)}
        x = tree.axpy(way[self.merge], tree.sub(mean, state.x), state.x)
        age = other if self.merge == "none" else jnp.maximum(state.age, other)
        x, _ = local.local_steps(x, (), node, local.rate(self.lr, self.decay, age), 1)
        return State(x, age + node.works.astype(age.dtype)), {}

    def _recv_part(self, state: State, inbox: Message, node: Node) -> State:
        """Each part is merged with what arrived of it, and then all take a step."""
        own = self._message(state, self._drawn(node))
        x, age, weight = tree.axpy(-node.self_weight, own, inbox)  # without the own message: sums over what arrived
        there = weight > NOTHING
        safe = jnp.where(there, weight, 1)
        other = jnp.where(there, jnp.maximum(age / safe, 0), state.age)
        total = (1 - weight) * state.age + weight * other
        by_age = jnp.where(total > 0, weight * other / jnp.where(total > 0, total, 1), weight)
        limited = self._limited(by_age, 1, state.age, other)
        share = {"age": by_age, "mean": weight, "none": jnp.ones_like(weight), "limited": limited}[self.merge]
        step = jnp.where(there, share / safe, 0)
        places = local.places(state.x, self.partitions)
        at = lambda values, place, x: values.astype(x.dtype)[place]
        merge = lambda place, x, new: x + at(step, place, x) * (new - at(weight, place, x) * x)
        merged = jax.tree.map(merge, places, state.x, x)
        age = other if self.merge == "none" else jnp.maximum(state.age, other)
        rates = jax.vmap(lambda age: jnp.asarray(local.rate(self.lr, self.decay, age), age.dtype))(age)
        down = lambda x, k: jax.tree.map(lambda place, g: at(rates, place, g) * g, places, node.grad(x, k)[0])
        merged, _ = local.local_steps(merged, (), node, jnp.ones((), rates.dtype), 1, gradient=down)
        return State(merged, age + node.works.astype(age.dtype))

    def _limited(self, by_age: jax.Array, whole: float | jax.Array, age: jax.Array, other: jax.Array) -> jax.Array:
        """The share of what arrives, where only models of near ages are merged; `whole` replaces the own one."""
        limit = jnp.asarray(self.limit, age.dtype)
        return jnp.where(other > age + limit, whole, jnp.where(age > other + limit, 0, by_age))

    def _drawn(self, node: Node) -> jax.Array:
        """The part that the node sends in this round."""
        return jax.random.randint(node.key, (), 0, self.partitions, jnp.int32)

    def _message(self, state: State, drawn: jax.Array) -> tuple[PyTree, jax.Array, jax.Array]:
        """A part of the model, its age, and a one at its number; zeros elsewhere, so that sums tell what arrived."""
        x = jax.tree.map(
            lambda place, x: jnp.where(place == drawn, x, 0), local.places(state.x, self.partitions), state.x
        )
        one = (jnp.arange(self.partitions, dtype=jnp.int32) == drawn).astype(state.age.dtype)
        return x, state.age * one, one

    def model(self, state: State) -> PyTree:
        return state.x
