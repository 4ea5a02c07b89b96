"""A mixing matrix for each part of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks, tree
from jdl import plan as plans
from jdl.exchange.linear import Linear
from jdl.types import Exchange, ExchangeState, Key, Message, Plan, Traffic, Wire

__all__ = ["PerModule"]

Keys = tuple[str, ...]


@struct.dataclass
class PerModule:
    """Per-module mixing: an array of the message is averaged only with neighbours that hold the same module of it.

    For paths through shared modules (DiPaCo), private layers (FedPer, FedBN, LG-FedAvg), clusters. W of each array is
    that of the plan without the other links, whose weight returns to the node itself. All of one module is plain
    gossip; all private is local training. For symmetric W: a directed, doubly stochastic one is row stochastic without
    some of its links. `PerModule.of` makes one out of names and modules.

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

    needs: ClassVar[frozenset[str]] = frozenset({"peers"})
    # Push-sum's weight is of no module: it would be mixed over other links than the model.
    breaks: ClassVar[frozenset[str]] = frozenset({"column_stochastic", "per_link"})

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
        return tuple(self.inner.init([leaves[i] for i in part]) for part in parts)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, Traffic]:
        own, structure = jax.tree.flatten(wire.own)
        sent, inbox, links, results = jax.tree.leaves(wire.sent), list(own), [], []
        total = max(tree.bits(wire.sent), 1)
        for g, part in enumerate(self._parts(wire.own)):
            plan = _within(wire.plan, self.modules[g]) if g < len(self.modules) else wire.plan
            share = tree.bits([sent[i] for i in part]) / total
            given = Wire([own[i] for i in part], [sent[i] for i in part], share * wire.bits, plan)
            # One key for all: a link that fails does so for all that it carries.
            mixed, new, traffic = self.inner.apply(state[g], given, key)
            links.append(new)
            results.append((given, traffic))
            for i, x in zip(part, mixed, strict=True):
                inbox[i] = x
        return structure.unflatten(inbox), tuple(links), _together(wire.plan, results)

    def _parts(self, message: Message) -> list[list[int]]:
        """Which arrays are of each entry, by number, and last those of none. The longest entry wins."""
        parts: list[list[int]] = [[] for _ in range(len(self.keys) + 1)]
        order = sorted(range(len(self.keys)), key=lambda g: -len(self.keys[g]))
        for i, path in enumerate(_paths(message)):
            parts[next((g for g in order if _within_path(self.keys[g], path)), -1)].append(i)
        return parts


def _within(plan: Plan, modules: jax.Array) -> Plan:
    """The plan without the links whose ends hold different modules, or private ones: nothing is sent on them."""
    plan = plans.one_by_one(plan)
    held = modules[plans.ids(plan)]
    mine, theirs = held[plans.receivers(plan.links)], held[plans.senders(plan.links)]
    return plans.silence(plan, (mine == theirs) & (mine >= 0))


def _together(plan: Plan, results: list[tuple[Wire, Traffic]]) -> Traffic:
    """What all parts sent; those that take the same link are one message."""
    bits = sum(traffic.bits for _, traffic in results)
    plan = plans.one_by_one(plan)
    used, times = jnp.zeros_like(plan.links.used), jnp.zeros_like(bits)
    for given, traffic in results:
        if not jax.tree.leaves(given.own):
            continue
        part = plans.one_by_one(given.plan)
        used |= part.links.used
        times = jnp.maximum(times, traffic.messages / jnp.maximum(plans.out_degree(part), 1))
    return Traffic(bits=bits, messages=times * plans.out_degree(plan.replace(links=plan.links.replace(used=used))))


def _paths(message: Message) -> list[Keys]:
    """The path to each array, as words."""
    paths = jax.tree_util.tree_flatten_with_path(message)[0]
    return [tuple(jax.tree_util.keystr((key,), simple=True) for key in path) for path, _ in paths]


def _names(message: Message) -> str:
    return ", ".join(sorted({"/".join(path) for path in _paths(message)}))


def _within_path(keys: Keys, path: Keys) -> bool:
    return any(path[i : i + len(keys)] == keys for i in range(len(path) - len(keys) + 1))
