"""Compiled exchanges that tests share, and the messages of a round of plain numbers."""

import functools

import jax
import jax.numpy as jnp

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


def apply(network, link, wire, key):
    """`round_of`, with a jit for each stack of classes, for to JAX (0.10) those of equal fields are equal."""
    return _program(tuple(map(type, layers(network))))(network, link, wire, key)


def wire(plan, own, sent=None, bits=128.0, roles=None):
    """The messages of a round; all of this many bits, and sent as they are unless said."""
    rows = plans.rows(plan)
    bits = jnp.broadcast_to(jnp.asarray(bits, jnp.float32), (rows,))
    return Wire(own, own if sent is None else sent, bits, plan, origin=plans.ids(plan), roles=roles)
