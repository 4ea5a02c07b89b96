"""Compiled exchanges that tests share, and the messages of a round of plain numbers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jdl import plan as plans
from jdl.engine.deliveries import traffic_of
from jdl.exchange.stack import layers
from jdl.types import Wire


@functools.cache
def _program(kinds):
    # Programs are many and run for a moment: optimising them would cost more than it gains.
    return jax.jit(round_of, compiler_options={"xla_backend_optimization_level": 0})


def round_of(network, link, wire, key):
    """One round of a network: the inboxes, the exchange's state, and the traffic of what was delivered."""
    inbox, link, deliveries = network.apply(link, wire, key)
    return inbox, link, traffic_of(deliveries)


@functools.partial(jax.jit, static_argnums=1)
def _begun(network, kinds, message):
    return network.init(message)


def begun(network, message):
    """The memory of a network before the first round, as one program."""
    return _begun(network, tuple(map(type, layers(network))), message)


def apply(network, link, wire, key):
    """`round_of`, with a jit for each stack of classes, for to JAX (0.10) those of equal fields are equal."""
    return _program(tuple(map(type, layers(network))))(network, link, wire, key)


def wire(plan, own, sent=None, bits=128.0, roles=None):
    """The messages of a round; all of this many bits, and sent as they are unless said.

    Made in NumPy: eager, each operation of JAX would be a program of its own.
    """
    rows = plans.rows(plan)
    bits = jnp.asarray(np.broadcast_to(np.float32(bits), (rows,)))
    ids = jnp.asarray(np.arange(rows, dtype=np.int32)) if plan.participants is None else plan.participants
    return Wire(own, own if sent is None else sent, bits, plan, origin=ids, roles=roles)
