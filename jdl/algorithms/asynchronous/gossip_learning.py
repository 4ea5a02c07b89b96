"""Gossip learning: models walk over the network, are merged by their ages, and learn where they arrive."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["GossipLearning"]

MERGES = ("age", "mean", "none")


class State(NamedTuple):
    x: PyTree  # the model
    age: jax.Array  # how many steps of SGD are in it, on the longest way


@struct.dataclass
class GossipLearning:
    """Gossip learning, merge by age then step: x <- (t_a x_a + t_b x_b) / (t_a + t_b), x <- x - lr g(x).

    A model carries its age t, the number of its steps. Where a model arrives, it is merged with the receiver's own, and
    the larger age is that of both; the merged model takes a step on the receiver's data, and its age grows by one. A
    model of age 0 counts nothing beside an older one, and two of age 0 count alike. Where several models arrive, their
    means by W_ij, of models and of ages, stand for the other model. Whose message is lost takes its step alone.

    It is made for `jdl.schedule.Waves.push`, in which a node sends and the one that hears it works. Ages that are equal
    make it plain averaging, x_i <- sum_j W_ij x_j - lr g_i(sum_j W_ij x_j), which is `CTA`.

    Sends:
      the model and its age, once an event.

    Memory:
      1 model per node.

    Args:
      lr: step size.
      merge: "age" for weights by age; "mean" for those of W, a plain average of a pair; "none" for the model that
        arrives in place of the own one, so that models walk at random.
      decay: function of the model's age that returns a factor on lr, or None for a constant lr.

    References:
      Ormandi, Hegedus, Jelasity 2013, Gossip learning with linear models on fully distributed data (create, merge,
      update). Hegedus, Danner, Jelasity 2019, Gossip Learning as a Decentralized Alternative to Federated Learning (the
      merge by age). Public code of the merge was read: what arrives counts t_b / (t_a + t_b), nothing at age 0.
    """

    lr: float = number(0.1, minimum=0)
    merge: str = static("age")
    decay: local.Decay | None = static(None)

    asynchronous: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def __post_init__(self) -> None:
        if self.merge not in MERGES:
            raise checks.InputError(f'got merge={self.merge!r}, need one of {", ".join(MERGES)}; try merge="age"')

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, jnp.zeros((), jnp.result_type(float)))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        return state, state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        mean, mean_age = inbox
        weight = 1 - node.self_weight.astype(mean_age.dtype)  # of what arrives
        part = 1 / jnp.where(weight > 0, weight, 1)
        other = jnp.maximum(state.age + (mean_age - state.age) * part, 0)
        # How far the own model goes on its way to the mean: all of it where ages are equal.
        way = {"age": jnp.where(mean_age > 0, other / jnp.where(mean_age > 0, mean_age, 1), 1), "mean": 1, "none": part}
        x = tree.axpy(way[self.merge], tree.sub(mean, state.x), state.x)
        age = other if self.merge == "none" else jnp.maximum(state.age, other)
        x, _ = local.local_steps(x, (), node, local.rate(self.lr, self.decay, age), 1)
        return State(x, age + node.works.astype(age.dtype)), {}

    def model(self, state: State) -> PyTree:
        return state.x
