"""Mistakes in a schedule, exchange, oracle, metric or roles, and kinds of messages that `needs` does not name."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import jdl
from jdl import checks, tree
from jdl.types import Each, PerLink, Push, Roles, static

N = 4
P, RING, DPSGD = jdl.problems.quadratic(N, dim=3), jdl.topology.ring(N), jdl.algorithms.DPSGD()


def part(base, **members):
    """An instance of a subclass with other members."""
    return struct.dataclass(type("Mine", (base,), {"__annotations__": {}, **members}))()


@struct.dataclass
class Talk:
    n: int = static(N)

    def init(self, key):
        return ()

    def __call__(self, memory, t, key, seen=None):
        return RING.plan(), memory


def planned(**changes):
    return part(Talk, __call__=lambda self, memory, t, key, seen=None: (RING.plan().replace(**changes), memory))


def unwatched(self, memory, t, key, seen=None):
    return RING.plan(), (memory, seen.values["loss"])


class On:
    inner: object
    needs = breaks = frozenset()

    def init(self, message):
        return ()

    def apply(self, state, wire, key):
        return wire.own, state, ()


def exchange(**members):
    return {"network": [part(On, **members)]}


class Ask:
    def grad(self, inner, data, params, batch, query):
        return inner(data, params, batch, query)


def oracle(**members):
    return {"oracle": [part(Ask, **members)]}


@struct.dataclass
class Speaks:
    say: object = static(Each)
    needs = frozenset({"peers", "grad"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return params

    def send(self, state, node):
        return self.say(jnp.stack([state, state]) if self.say is PerLink else state), state

    def recv(self, state, inbox, node):
        return state, {}

    def model(self, state):
        return state


def metric(function):
    return {"metrics": {"mine": function}}


def errs(models, state, simulation):
    raise ValueError("no such thing")


def served(**members):
    return struct.dataclass(type("Mine", (jdl.algorithms.FedAvg,), {"__annotations__": {}, **members}))()


MISTAKES = {
    "watches a word": ({"topology": part(Talk, watches="loss")}, "Mine.watches='loss', need a set", "{'loss'}"),
    "a plan alone": (
        {"topology": part(Talk, __call__=lambda self, memory, t, key, seen=None: RING.plan())},
        "got Mine that returns Plan, need (plan, memory)",
    ),
    "a schedule of before": (
        {"topology": part(Talk, __call__=lambda self, memory, t, key: (RING.plan(), memory))},
        "got Mine.__call__ with the arguments (memory, t, key), need (memory, t, key, seen)",
    ),
    "what a schedule does not watch": (
        {"topology": part(Talk, __call__=unwatched)},
        "got a function unwatched that fails in line",
        "'NoneType' object has no attribute 'values'",
    ),
    "works of numbers": ({"topology": planned(works=jnp.ones(N))}, "plan has works of shape (4,) and type float32"),
    "joins of three": ({"topology": planned(joins=jnp.ones(3, bool))}, "plan has joins of shape (3,)", "bool[4]"),
    "an exchange of before": (
        exchange(apply=lambda self, state, plan, message, key, bits: (message, state)),
        "Mine.apply with the arguments (state, plan, message, key, bits), need (state, wire, key)",
    ),
    "no deliveries": (
        exchange(apply=lambda self, state, wire, key: (wire.own, state)),
        "got Mine whose `apply` returns 2 values, need (inbox, state, deliveries)",
    ),
    "a list of deliveries": (
        exchange(apply=lambda self, state, wire, key: (wire.own, state, [])),
        "got Mine whose `apply` returns list last",
    ),
    "needs in a list": (exchange(needs=["peers"]), "got Mine.needs=['peers'], need a set of words"),
    "half a wrapper": (
        oracle(grad=lambda self, inner, data, params, batch: inner(data, params, batch)),
        "Mine.grad with the arguments (inner, data, params, batch), need (inner, data, params, batch, query)",
    ),
    "a gradient alone": (
        oracle(grad=Ask.grad, objective=lambda self, inner, *about: inner(*about)[0]),
        "need (loss, second output); return both, as `inner` does",
    ),
    "a memory of three": (
        oracle(init=lambda self, problem, key: jnp.zeros(3), begin=lambda self, memory, data, model: memory),
        "got an oracle whose `init` returns an array of shape (3,), need one entry for each of 4 nodes",
    ),
    "a metric of two": (metric(lambda models, state: 0.0), "need (models, state, simulation)"),
    "a metric of nothing": (metric(lambda models, state, s: None), "got metric 'mine' that returns NoneType"),
    "a metric in numpy": (
        metric(lambda models, state, s: np.asarray(models).mean()),
        "use jax.numpy in place of numpy",
    ),
    "a metric of a library": (
        metric(np.linalg.norm),
        "got a metric 'mine' that fails when it is called as (models, st",
    ),
    "a metric that errs": (metric(errs), "got a metric 'mine' that fails in line", "ValueError: no such thing"),
    "two metrics of one column": (
        {"metrics": {"drift": lambda models, state, s: models[:, 0], "mean_drift": lambda models, state, s: 0.0}},
        "got metric 'mean_drift', whose column mean_drift exists already",
    ),
    "a word per node": ({"per_node": "loss"}, "got per_node='loss', need True, False or names, there are bits, dist"),
    "unknown per node": (
        {"per_node": ("accuracy", "loss")},
        "got per_node with 'accuracy', which is unknown, there are",
    ),
    "own per node": ({"per_node": ["own_loss"]}, "got per_node with own_loss and own=False, need own=True"),
    "twice per node": (
        {"metrics": {"distance": lambda models, state, s: 0.0}, "per_node": True},
        "got a metric named distance, which per_node keeps under the same name",
    ),
    "no classes": (
        metric(jdl.metrics.disagreement),
        "got the metric disagreement and the problem Quadratic",
        "test_set",
    ),
    "before of no name": (metric(jdl.metrics.before_mixing("accuracy")), "got metric before mixing 'accuracy'", "loss"),
    "before with a server": (
        metric(jdl.metrics.before_mixing("loss")) | {"algorithm": jdl.algorithms.FedAvg(), "topology": None},
        "got the metric before_mixing and the method FedAvg, which has a server",
    ),
    "who is a number": ({"roles": Roles(np.ones(N), np.zeros(N, int))}, "type float64, need True or False for each"),
    "nobody honest": ({"roles": Roles(np.zeros(N, bool), np.zeros(N, int))}, "in which nobody is honest"),
    "roles of others": ({"roles": jdl.roles.draw(5)}, "honest of shape (5,)", "each of 4 nodes"),
    "own as a word": ({"own": "yes"}, "got own='yes', need True or False"),
    "nobody to come down from": (
        {"network_down": [jdl.exchange.Lossy(0.1)]},
        "got network_down with DPSGD, which has no server; put these exchanges in network",
    ),
    "choco down": (
        {"algorithm": jdl.algorithms.FedAvg(), "topology": None, "network_down": [jdl.exchange.Choco()]},
        "got Choco in network_down that needs 'fixed_links' and 'peers', where an honest server sends one",
    ),
    "weights of two": (
        {"algorithm": served(weight=lambda self, server_state, node: jnp.ones(2)), "topology": None},
        "got Mine whose `weight` returns an array of shape (2,), need one number",
    ),
    "a personal model of one": (
        {"algorithm": served(personal=lambda self, server_state: server_state), "topology": None},
        "got Mine.personal with the arguments (server_state), need (server_state, client_state)",
    ),
    "joins a server": (
        {
            "algorithm": jdl.algorithms.FedAvg(),
            "topology": part(
                Talk,
                __call__=lambda self, memory, t, key, seen=None: (
                    jdl.plan.clients(jnp.arange(N)).replace(joins=jnp.ones(N, bool)),
                    memory,
                ),
            ),
        },
        "got Mine whose plan has joins, and a method with a server",
    ),
    "one by one": ({"algorithm": Speaks(Each)}, "a part of kind Each, need the word 'each' in its needs; add it"),
    "per link": ({"algorithm": Speaks(PerLink)}, "a part of kind PerLink, need the word 'per_link' in its needs"),
    "sums": ({"algorithm": Speaks(Push)}, "a part of kind Push, need the word 'push' or 'column_stochastic' in its"),
    "before": (
        {"algorithm": part(Speaks, send=lambda self, state, node: (node.full_grad(state)[0], state))},
        "node.full_grad(x) is spelled node.grad(x, FULL)",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_sentences(name):
    changes, *words = MISTAKES[name]
    parts = {"problem": P, "algorithm": DPSGD, "topology": RING, **changes}
    with pytest.raises(checks.InputError) as error:
        jdl.simulation(**parts)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_clients_without_a_memory_are_served_alike():
    s = jdl.simulation(
        P, served(personal=lambda self, server_state, client_state: tree.scale(2, self.model(server_state)))
    )
    sim = jdl.sim.init(s)
    np.testing.assert_array_equal(jdl.sim.models(s, sim), 2 * s.algorithm.model(sim.server)[None])
