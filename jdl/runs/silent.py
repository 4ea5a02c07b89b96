"""The parts of a simulation in which nodes send messages of given sizes and learn nothing."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.types import Delivery, Exchange, Info, Key, Message, Node, PyTree, Sized, Wire

__all__ = ["NoData", "Silent", "Stated"]

NOTHING = ((), ())


@struct.dataclass
class NoData:
    """n nodes without data, and a model of one number.

    Attributes:
      n: the number of nodes.
    """

    n: int = struct.field(pytree_node=False)

    @property
    def num_examples(self) -> jax.Array:
        """None of any node."""
        return jnp.zeros(self.n, jnp.int32)

    def init(self, key: Key) -> jax.Array:
        return jnp.zeros(1, jnp.float32)

    def loss(self, params: PyTree, node: Any, batch: Any) -> jax.Array:
        """What rules that compare models are told."""
        return jnp.zeros((), jnp.float32)


@struct.dataclass
class Silent:
    """A method that has the exchanges of another one, and computes nothing.

    The size that a message states is the number of its exchange, counted from 1 in the first round, and on from there
    in all later rounds: `Stated` puts the true size in its place, after all that the network does with it.

    Attributes:
      down: f[2, exchanges], the size of the server's message where it passes through no exchange; see `Sizes`.
      sends: for each exchange of a round, whether nodes send anything.
      tells: the same for a server; empty without one.
      through: whether the server's messages pass through an exchange.
    """

    down: jax.Array
    sends: tuple[bool, ...] = struct.field(pytree_node=False)
    tells: tuple[bool, ...] = struct.field(pytree_node=False, default=())
    through: bool = struct.field(pytree_node=False, default=False)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"server"} if self.tells else {"peers"})

    @property
    def phases(self) -> tuple[tuple[str, ...], ...]:
        every = range(len(self.sends))
        if self.tells:
            return tuple((f"broadcast_{i}", f"client_{i}", f"server_{i}") for i in every)
        return tuple((f"send_{i}", "recv") for i in every)

    def __getattr__(self, name: str) -> Any:
        kind, _, phase = name.rpartition("_")
        if kind in ("send", "client", "broadcast", "server") and phase.isdecimal():
            return functools.partial(getattr(self, f"_{kind}"), int(phase))
        raise AttributeError(name)

    def init(self, params: PyTree, node: Node | int) -> PyTree:
        return jnp.zeros((), jnp.int32) if self.tells else ()

    def client_init(self, params: PyTree, node: Node) -> tuple:
        return ()

    def _number(self, phase: int, t: jax.Array) -> jax.Array:
        return (jnp.where(t > 0, len(self.sends), 0) + phase + 1).astype(jnp.float32)

    def _send(self, phase: int, state: tuple, node: Node) -> tuple[Message, tuple]:
        return (_message(self._number(phase, node.t)), state) if self.sends[phase] else NOTHING

    def recv(self, state: tuple, inbox: Message, node: Node) -> tuple[tuple, Info]:
        return state, {}

    def _broadcast(self, phase: int, server: jax.Array) -> Message:
        size = self._number(phase, server) if self.through else self.down[jnp.minimum(server, 1), phase]
        return _message(size) if self.tells[phase] else ()

    def _client(self, phase: int, told: Message, state: tuple, node: Node) -> tuple[Message, tuple]:
        return self._send(phase, state, node)

    def _server(self, phase: int, server: jax.Array, aggregate: Message, info: Info) -> jax.Array:
        """The number of rounds that are done."""
        return info["t"] + 1 if phase + 1 == len(self.sends) else server

    def weight(self, server: jax.Array, node: Node) -> jax.Array:
        return jnp.ones((), jnp.result_type(float))

    def model(self, state: tuple) -> jax.Array:
        return jnp.zeros(1, jnp.float32)


def _message(size: jax.Array) -> Sized:
    return Sized(jnp.ones(1, jnp.float32), size)


@struct.dataclass
class Stated:
    """A network in which messages that are sent have given sizes, whatever they hold.

    Attributes:
      inner: the network, which decides what is sent and what arrives.
      sizes: f[2, exchanges, parts], the size of one copy on one link; see `Silent`.
    """

    inner: Exchange
    sizes: jax.Array

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "inner"), name)

    def apply(self, state: PyTree, wire: Wire, key: Key) -> tuple[Message, PyTree, tuple[Delivery, ...]]:
        place = wire.bits[0].astype(jnp.int32) - 1
        inbox, state, deliveries = self.inner.apply(state, wire, key)
        parts = self.sizes.shape[-1]
        got = f"got a network in which {parts} parts of a message take links of their own, and {len(deliveries)} of one"
        need = "number: time needs the same; use jdl.run with this clock"
        checks.require(len(deliveries) <= parts, f"{got} {need}")
        stated = lambda one, size: one.replace(bits=jnp.where(one.bits > 0, size, 0))
        sizes = self.sizes.reshape(-1, parts)[place]
        return inbox, state, tuple(stated(one, sizes[k]) for k, one in enumerate(deliveries))
