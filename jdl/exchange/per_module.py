"""A mixing matrix for each part of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks, tree
from jdl import plan as plans
from jdl.exchange.apart import key_of_part
from jdl.exchange.linear import Linear
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Plan, Wire

__all__ = ["PerModule", "paths", "within"]

Keys = tuple[str, ...]


@struct.dataclass
class PerModule:
    """Per-module mixing: an array of the message is averaged only with neighbours that hold the same module of it.

    It serves paths through shared modules (DiPaCo), private layers (FedPer, FedBN, LG-FedAvg) and clusters. Each array
    has a W of its own, over the links between nodes that hold the same module: W'_ij = W_ij min(1 / r_i, 1 / r_j). Here
    r_i is the weight that node i gives to holders of its module, itself included; W'_ii is the rest. A symmetric W
    stays symmetric and doubly stochastic, and over the complete graph the inbox is the mean of the holders. A directed
    W is divided by r_i, and is row stochastic. If all nodes hold the same module, this is plain gossip; if all arrays
    are private, it is local training. `PerModule.of` makes one from names and modules.

    Sends:
      on each link the arrays that both ends hold, as one message; nothing where they hold none in common.

    Args:
      keys: for each entry, names that follow each other in the path of the arrays that it is about.
      modules: for each entry, i32[n], the module that each node holds, -1 for one of its own. Arrays without an entry
        are held by everybody.
      inner: the exchange that averages.

    References:
      Douillard et al. 2024, DiPaCo: Distributed Path Composition.
      Arivazhagan, Aggarwal, Singh, Choudhary 2019, Federated Learning with Personalization Layers.
    """

    keys: tuple[Keys, ...] = struct.field(pytree_node=False)
    modules: tuple[jax.Array, ...]
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "at_once"})
    # Push-sum's weight is of no module: it would be mixed over other links than the model.
    breaks: ClassVar[frozenset[str]] = frozenset({"column_stochastic", "per_link", "each", "push"})

    @classmethod
    def of(cls, assignment: Mapping[str | Sequence[str], Any] | Any) -> Self:
        """Per-module mixing by the names of parameters.

        Args:
          assignment: for a key of the parameters, or several that follow each other in a path (a tuple), `i32[n]`, the
            module that each node holds there, -1 for one of its own. The longest key that fits an array counts, and
            arrays without one are held by everybody. An array in place of a mapping holds for the whole model.

        Raises:
          InputError: if modules are not whole numbers of at least -1, one for each node. That a key fits no array is
            said when the simulation is built.

        >>> PerModule.of({"head": [-1, -1, 0]}).keys
        (('head',),)
        """
        given = assignment if isinstance(assignment, Mapping) else {(): assignment}
        keys, modules = [], []
        for key, value in given.items():
            array = np.asarray(value)
            good = array.ndim == 1 and np.issubdtype(array.dtype, np.integer) and array.size and array.min() >= -1
            checks.require(bool(good), f"got modules {value!r} of {key!r}, need whole numbers [n], of at least -1")
            keys.append((key,) if isinstance(key, str) else tuple(key))
            modules.append(jnp.asarray(array, jnp.int32))
        return cls(keys=tuple(keys), modules=tuple(modules))

    def init(self, message: Message) -> ExchangeState:
        parts = self._parts(message)
        leaves = jax.tree.leaves(message)
        for keys, modules, found in zip(self.keys, self.modules, parts, strict=False):
            n = leaves[0].shape[0] if leaves else modules.shape[0]
            got = f"got modules of {keys} for {modules.shape[0]} nodes, need one for each of {n}"
            checks.require(modules.shape == (n,), got)
            none = (
                f"got modules of {keys}, which no array of the message has in its path; need one of {_names(message)}"
            )
            checks.require(bool(found) or not leaves, none)
        return tuple(self.inner.init([leaves[i] for i in part]) if part else () for part in parts)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        need = "got PerModule behind an exchange that delays messages, need it before; put that one last"
        checks.require(wire.age is None, need)
        own, structure = jax.tree.flatten(wire.own)
        sent, inbox, states, deliveries = jax.tree.leaves(wire.sent), list(own), list(state), []
        total = max(tree.bits(wire.sent), 1)
        for g, part in enumerate(self._parts(wire.own)):
            if not part:
                continue
            plan = within(wire.plan, self.modules[g][plans.ids(wire.plan)]) if g < len(self.modules) else wire.plan
            share = tree.bits([sent[i] for i in part]) / total
            given = wire.replace(
                own=[own[i] for i in part], sent=[sent[i] for i in part], bits=share * wire.bits, plan=plan
            )
            mixed, states[g], delivered = self.inner.apply(state[g], given, key_of_part(self.inner, key, g))
            deliveries += delivered
            for i, x in zip(part, mixed, strict=True):
                inbox[i] = x
        return structure.unflatten(inbox), tuple(states), tuple(deliveries)

    def _parts(self, message: Message) -> list[list[int]]:
        """The numbers of the arrays of each entry, then of those without one. The longest entry that fits counts."""
        parts: list[list[int]] = [[] for _ in range(len(self.keys) + 1)]
        order = sorted(range(len(self.keys)), key=lambda g: -len(self.keys[g]))
        for i, path in enumerate(paths(message)):
            parts[next((g for g in order if _within_path(self.keys[g], path)), -1)].append(i)
        return parts


def within(plan: Plan, held: jax.Array) -> Plan:
    """The plan between rows that hold the same module, renormalised over them: nothing is sent on other links.

    Args:
      plan: the plan, between peers.
      held: i32[m], the module of each row, -1 for one of its own.
    """
    plan = plans.one_by_one(plan)
    links = plan.links
    who, into = plans.senders(links), plans.receivers(links)
    shared = (held[into] == held[who]) & (held[into] >= 0)
    # One minus what is cut, and not a sum of what is kept: without a cut W stays as it is to the last bit.
    given = 1 - plans.into(links, jnp.where(shared, 0, links.weights), plans.rows(plan))
    factor = 1 / jnp.where(given > 0, given, 1)
    weights = links.weights * (jnp.minimum(factor[into], factor[who]) if plan.symmetric else factor[into])
    weights = jnp.where(shared, weights, 0).astype(links.weights.dtype)
    back = plans.into(links, links.weights - weights, plans.rows(plan))
    arrived = None if links.arrived is None else links.arrived & shared
    stochastic = plan.stochastic if plan.symmetric else "row"
    links = links.replace(weights=weights, used=links.used & shared, arrived=arrived)
    return plan.replace(links=links, self_weights=plan.self_weights + back, stochastic=stochastic)


def paths(message: Message, whole: Callable[[Any], bool] | None = None) -> list[Keys]:
    """The path to each array, as words; and to each part that is not looked into, since `whole` is true of it."""
    found = jax.tree_util.tree_flatten_with_path(message, is_leaf=whole)[0]
    return [tuple(jax.tree_util.keystr((key,), simple=True) for key in path) for path, _ in found]


def _names(message: Message) -> str:
    return ", ".join(sorted({"/".join(path) for path in paths(message)}))


def _within_path(keys: Keys, path: Keys) -> bool:
    return any(path[i : i + len(keys)] == keys for i in range(len(path) - len(keys) + 1))
