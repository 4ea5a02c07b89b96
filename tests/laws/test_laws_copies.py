"""What a receiver keeps of a sender is what the sender believes, over every network that is accepted.

A simulation delivers the sender's own copy, and so it cannot show that a receiver would hold another one. Here the
receivers' copies are kept as real nodes keep them: from the changes that arrived, link by link, read from the plans of
the rounds and from the states before and after them.
"""

from typing import NamedTuple

import cases
import classes
import facts
import jax
import numpy as np
import pytest

import jdl
from jdl import plan as plans
from jdl.checks import InputError
from jdl.compressors import TopK, Uniform
from jdl.engine import sim as simulator
from jdl.exchange import Choco, Delayed, Lossy
from jdl.schedule import EventTriggered, Fixed, GilbertElliott, Matching, Sampling, Sleeping, Windowed
from jdl.topology import from_weights

N, ROUNDS = cases.N, 10
GRAPH = from_weights(cases.weights())
STATIC = Fixed(GRAPH.plan("slots"))
# Where a method keeps the copies that its neighbours hold, for each exchange of a round. DCD and ECD send the copy
# with which a round begins; the others move their copies in the round.
FIELDS = {
    "BEER": [lambda state: state.nodes.copies],
    "CDProxSGT": [lambda state: state.nodes.y_copy, lambda state: state.nodes.x_copy],
    "DCD": [lambda state: state.nodes.x],
    "ECD": [lambda state: state.nodes.copy],
    "LEAD": [lambda state: state.nodes.copy],
    "Choco": [lambda state: state.exchange_state[0][0]],
}
BEFORE = {"DCD", "ECD"}

NETWORKS = {
    "static": (STATIC, []),
    "lossy": (STATIC, [Lossy(0.3)]),
    "delayed": (STATIC, [Delayed()]),
    "compressed": (STATIC, [TopK(0.5)]),
    "sleeping": (Sleeping(STATIC, 0.3), []),
    "links fail": (GilbertElliott.of(GRAPH, fail=0.3), []),
    "changing": (Matching(N), []),
    "every other round": (Windowed(STATIC, every=2), []),
    "when apart": (EventTriggered(STATIC, 0.1), []),
}


def built(name, network):
    """A simulation of this method; `Choco` is an exchange of a method without copies."""
    talk, parts = NETWORKS[network]
    if name == "Choco":
        return cases.build("DPSGD", talk=talk, network=[Choco(0.3, TopK(0.4)), *parts])
    return cases.build(name, talk=talk, network=parts)


class Round(NamedTuple):
    """What is read of a round: for each exchange the copies before and after it, and which copies arrived."""

    before: list
    after: list
    arrived: list  # bool[n, n], by receiver and sender


def rounds(simulation, name):
    """Rounds as a list; one program."""

    def one(state, _):
        new, _ = simulator.step(simulation, state)
        wires = simulator.wires(simulation, state)
        return new, (state, new, [(wire.plan, wire.bits) for wire in wires])

    start = cases.starts("DPSGD")
    run = jax.jit(lambda: jax.lax.scan(one, simulator.init(simulation, start), length=ROUNDS)[1])
    states, news, wires = jax.device_get(run())

    def at(t):
        pick = lambda tree: jax.tree.map(lambda x: x[t], tree)
        copies = lambda state: [np.concatenate(_rows(of(pick(state))), axis=1) for of in FIELDS[name]]
        return Round(copies(states), copies(news), [_arrived(*pick(wire)) for wire in wires])

    return [at(t) for t in range(ROUNDS)]


def _rows(tree):
    return [np.asarray(leaf, float).reshape(N, -1) for leaf in jax.tree.leaves(tree)]


def _arrived(plan, bits):
    links = plans.one_by_one(plan).links
    found = np.zeros((N, N), bool)
    who, to = np.asarray(plans.senders(links)), np.asarray(plans.receivers(links))
    np.logical_or.at(found, (to, who), np.asarray(plans.arrived(links)))
    return found & (np.broadcast_to(bits, (N,)) > 0)[None, :]


def worst(simulation, name) -> float:
    """The largest difference between what a receiver holds when it hears a sender, and the sender's own copy."""
    seen, found = rounds(simulation, name), 0.0
    for phase in range(len(FIELDS[name])):
        now = [one.before[phase] if name in BEFORE else one.after[phase] for one in seen]
        last = [np.zeros_like(now[0]), *now] if name in BEFORE else [one.before[phase] for one in seen]
        held = np.broadcast_to(last[0], (N, *last[0].shape)).copy()  # [receiver, sender, d]; all know the start
        for t, one in enumerate(seen):
            hears = one.arrived[phase]
            held += np.where(hears[:, :, None], now[t] - last[t], 0)
            if hears.any():
                found = max(found, np.abs(held - now[t])[hears].max())
    return found


def accepted(name, network):
    """The simulation, or None if it is refused."""
    try:
        return built(name, network)
    except InputError as error:
        words = ("reliable", "fixed_links", "copies", "doubly_stochastic")
        assert any(f"needs {word!r}" in str(error) for word in words), error
        return None


@pytest.mark.parametrize("name", [
    name if i == classes.SEED % len(FIELDS) else pytest.param(name, marks=pytest.mark.slow)
    for i, name in enumerate(FIELDS)
])  # fmt: skip
def test_receivers_hold_what_senders_believe(name):
    assert name == "Choco" or name in facts.COPIES
    runs = {network: accepted(name, network) for network in NETWORKS}
    assert runs["static"] is not None
    for network, simulation in runs.items():
        assert simulation is None or worst(simulation, name) < 1e-5, network


def test_all_that_keep_copies_are_read_here():
    assert {*facts.COPIES, "Choco"} == set(FIELDS)


@pytest.mark.parametrize(
    "network", ["sleeping", *(pytest.param(one, marks=pytest.mark.slow) for one in ("lossy", "links fail", "changing"))]
)
def test_what_is_refused_would_hold_something_else(network):
    """The law sees a difference where there is one: in a simulation that nobody checked."""
    talk, parts = NETWORKS[network]
    simulation = built("Choco", "static").replace(schedule=talk)
    if parts:
        simulation = simulation.replace(exchange=simulation.exchange.replace(inner=parts[0]))
    assert worst(simulation, "Choco") > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("network", [[], [Lossy(0.3)]], ids=["static", "lossy"])
def test_both_ends_of_an_edge_hold_the_same_columns(network):
    """PowerGossip: of a symmetric link that fails both ways both ends keep what they had."""
    simulation = cases.build("PowerGossip", talk=STATIC, network=network)
    state, _ = cases.advance(simulation, cases.init(simulation, cases.starts("DPSGD")), np.int32(7))
    links = STATIC.plan.links
    who, back = np.asarray(links.senders), np.asarray(plans.back(links))
    for sides in (state.nodes.left, state.nodes.right):
        for side in sides:
            theirs = np.asarray(side)[who, back]
            used = np.asarray(links.used)
            np.testing.assert_allclose(np.asarray(side)[used], theirs[used], atol=1e-6)


# The server's field, and the field of its clients whose mean it believes it holds.
MEANS = {
    "EF21": (lambda server: server.g, lambda client: client.h, {"compressor": Uniform(3)}),
    "Scaffold": (lambda server: server.c, lambda client: client, {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MEANS)
def test_a_server_holds_the_mean_of_what_its_clients_hold(name):
    of_server, of_client, options = MEANS[name]
    simulation = jdl.simulation(cases.problem(), cases.kind_of(name)(lr=0.1, **options), Sampling(N, 5))
    state, _ = cases.advance(simulation, cases.init(simulation, cases.starts(name)), np.int32(9))
    mean = jax.tree.map(lambda x: np.asarray(x).mean(axis=0), of_client(state.nodes))
    for one, other in zip(jax.tree.leaves(of_server(state.server)), jax.tree.leaves(mean), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.abs(jax.tree.leaves(mean)[0]).max() > 1e-3
