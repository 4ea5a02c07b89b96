"""A round with liars: honest messages, silent and absent nodes, and what attacks make of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

import jdl
from jdl import plan as plans
from jdl import topology, tree
from jdl.types import Delivery, Server, Wire

KEY = jax.random.key(3)
NODES = 12
HONEST = np.array([1, 1, 0, 1, 1, 1, 0, 1, 1, 0, 1, 1], bool)
# Rows of nodes 0 to 10; nodes 4 and 9 send nothing, and what they hold is no number.
IDS = np.arange(11)
SILENT = np.isin(IDS, [4, 9])


# Programs are many and run for a moment: optimising them would cost more than it gains.
quick = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@struct.dataclass
class Listening:
    """An innermost exchange that answers with what it is given."""

    needs = frozenset()
    breaks = frozenset()

    def init(self, message):
        return ()

    def apply(self, state, wire, key):
        return wire, state, ()


@struct.dataclass
class Arrivals(Listening):
    """An innermost exchange that answers with what arrives over each link."""

    def apply(self, state, wire, key):
        delivery = Delivery(plan=wire.plan, bits=wire.bits, copies=jnp.ones(()), origin=wire.origin)
        return plans.arrived(wire.plan.links), state, (delivery,)


@quick
def _heard(attack, wire, key):
    return attack.apply(attack.init(wire.own), wire, key)


def heard(attack, wire, key=KEY):
    """The wire as an attack hands it on."""
    return _heard(attack.replace(inner=Listening()), wire, key)


def messages(seed=0, ids=IDS, silent=SILENT):
    """Two arrays of real numbers and one of whole numbers, a row for each of the nodes."""
    rng = np.random.default_rng(seed)
    real = {"a": rng.standard_normal((len(ids), 2, 2)) + 1, "b": 3 * rng.standard_normal((len(ids), 3)) - 0.5}
    real = {name: np.where(silent.reshape(-1, *[1] * (x.ndim - 1)), np.nan, x) for name, x in real.items()}
    return {name: jnp.asarray(x, jnp.float32) for name, x in real.items()} | {"k": jnp.asarray(ids, jnp.int32)}


def wire(kind, sent, honest=HONEST, ids=IDS, silent=SILENT):
    """The messages on the way to a server, or among peers all of whom hear each other."""
    roles = jdl.roles.of(honest=honest)
    if kind == "server":
        plan = plans.clients(jnp.asarray(ids, jnp.int32))
        links = plan.links.replace(used=jnp.asarray(ids != 4))  # one says nothing, and one has nothing to say
        plan = plan.replace(links=links)
    else:
        plan = topology.complete(len(ids)).plan("dense").replace(participants=jnp.asarray(ids, jnp.int32))
    assert isinstance(plan.links, Server) == (kind == "server")
    bits = jnp.asarray(np.where(silent & ((ids != 4) | (kind != "server")), 0, 256), jnp.float32)
    return Wire(sent, sent, bits, plan, jnp.asarray(ids, jnp.int32), roles=roles)


@quick
def _sent(attacks, wire, key):
    found = {}
    for name, attack in attacks.items():
        state = attack.init(wire.sent)
        found[name] = attack.apply(state, wire, key)[0].sent
    return found


def sent(attacks, wire, key=KEY):
    """What each of these attacks makes of the messages, as one program."""
    heard = {name: tree.numbers_to_arrays(attack).replace(inner=Listening()) for name, attack in attacks.items()}
    return jax.tree.map(np.asarray, _sent(heard, wire, key))


def flat(message):
    """The real numbers of a message as rows, in NumPy and double precision."""
    return np.concatenate([np.asarray(message[name], np.float64).reshape(len(message[name]), -1) for name in "ab"], 1)


def rows(message, honest=HONEST, ids=IDS, silent=SILENT):
    """The honest messages that travel, [h, 7]."""
    return flat(message)[honest[ids] & ~silent]


LIARS = ~HONEST[IDS]
