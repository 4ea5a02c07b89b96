"""Compressors in a network: a memory for every sender, what breaks, and the way down from a server."""

from typing import ClassVar

import exchange_programs as programs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import jdl
from jdl import exchange, topology
from jdl import plan as plans
from jdl.checks import InputError
from jdl.compressors import ErrorFeedback, HalfPrecision, Identity, PowerSGD, RandK, TopK, Uniform
from jdl.engine.rounds import plan_at
from jdl.exchange import mixing
from jdl.types import Each, PerLink, Wire

KEY = jax.random.key(0)
N = 5
# One entry in two is drawn at random from the key of the sender, so that a wrong key is seen as well.
CODEC = ErrorFeedback(RandK(0.5))


@struct.dataclass
class Spy:
    """The inbox is what the rows send."""

    needs: ClassVar[frozenset[str]] = frozenset()
    breaks: ClassVar[frozenset[str]] = frozenset()

    def init(self, message):
        return ()

    def apply(self, state, wire, key):
        return wire.sent, state, mixing.delivered(wire)


def wire_of(x, plan, bits=None):
    rows = len(jax.tree.leaves(x)[0])
    bits = jnp.full(rows, 32.0) if bits is None else jnp.asarray(bits, jnp.float32)
    return Wire(own=x, sent=x, bits=bits, plan=plan, origin=plans.ids(plan))


def rounds_of(dim=6):
    """All send; node 1 sleeps and 2 is silent; 4 and 0 are alone; 3 has no links; 0 is silent, and all are awake."""
    ring, rng = topology.ring(N).plan("slots"), np.random.default_rng(0)
    awake = jnp.asarray([True, False, True, True, True])
    few = plans.clients(jnp.asarray([4, 0], jnp.int32))
    lonely = plans.silence(ring, (ring.links.senders != 3) & (jnp.arange(N)[:, None] != 3))
    settings = [
        (ring, np.ones(N), [0, 1, 2, 3, 4]),
        (ring.replace(active=awake), np.asarray([1, 1, 0, 1, 1.0]), [0, 3, 4]),
        (few, np.ones(2), [4, 0]),
        (lonely, np.ones(N), [0, 1, 2, 4]),
        (ring, np.asarray([0, 1, 1, 1, 1.0]), [1, 2, 3, 4]),
    ]
    for plan, bits, sending in settings:
        x = rng.standard_normal((len(bits), dim)).astype(np.float32)
        yield wire_of(jnp.asarray(x), plan, bits), sending


def test_every_sender_has_a_memory_of_its_own():
    """A stack of memories is a Python loop over nodes; who does not send keeps its own, whatever its row."""
    network = exchange.Compressed(CODEC, Spy())
    state = network.init(jax.eval_shape(lambda: jnp.zeros((N, 6))))
    by_hand = [CODEC.init(jnp.zeros(6)) for _ in range(N)]
    one = jax.jit(lambda memory, x, key: CODEC(memory, x, key))
    for t, (wire, sending) in enumerate(rounds_of()):
        key = jax.random.fold_in(KEY, t)
        sent, state, traffic = programs.apply(network, state, wire, key)
        copies = plans.out_degree(wire.plan)
        for row, node in enumerate(np.asarray(wire.origin)):
            own_key = jax.random.fold_in(jax.random.split(key)[0], int(node))
            decoded, memory, size = one(by_hand[node], wire.sent[row], own_key)
            np.testing.assert_allclose(sent[row], decoded, rtol=1e-6)
            assert float(traffic.bits[row]) == float(copies[row] * size if wire.bits[row] > 0 else 0)
            if node in sending:
                by_hand[node] = memory
        for node in range(N):
            np.testing.assert_allclose(state[0].error[0][node], by_hand[node].error[0], rtol=1e-5, atol=1e-6)
    assert all(np.any(np.asarray(memory.error[0]) != 0) for memory in by_hand)


def test_choco_keeps_a_memory_for_every_sender():
    """xhat += C(x - xhat), with power iterations that go on: each node as if it were alone, sleepers as they were."""
    network = exchange.Choco(jnp.float32(0.5), PowerSGD(1), Spy())
    plan, rng = topology.ring(N).plan("slots"), np.random.default_rng(1)
    state = network.init(jnp.zeros((N, 4, 3)))
    copies, memories = np.zeros((N, 4, 3)), [PowerSGD(1).init(jnp.zeros((4, 3)))] * N
    one = jax.jit(lambda memory, x, key: PowerSGD(1)(memory, x, key))
    for t, awake in enumerate(([True] * N, [True, False, True, True, False], [True] * N)):
        x = rng.standard_normal((N, 4, 3)).astype(np.float32)
        wire = wire_of(jnp.asarray(x), plan.replace(active=jnp.asarray(awake)))
        key = jax.random.fold_in(KEY, t)
        inbox, state, _ = programs.apply(network, state, wire, key)
        for node in range(N):
            own_key = jax.random.fold_in(jax.random.split(key)[0], node)
            change, memory, _ = one(memories[node], jnp.asarray(x[node] - copies[node], jnp.float32), own_key)
            if awake[node]:
                copies[node], memories[node] = copies[node] + np.asarray(change), memory
            np.testing.assert_allclose(state[1][0][node], memories[node][0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(state[0], copies, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(inbox, x)  # all neighbours hold what the node itself holds: W xhat = xhat


def test_a_sender_with_several_rows_has_no_single_memory():
    network = exchange.Compressed(CODEC, Spy())
    state, plan = network.init(jnp.zeros((N, 6))), topology.ring(N).plan("slots")
    late = wire_of(jnp.zeros((N, 6)), plan).replace(age=jnp.zeros(N, jnp.int32))
    twice = wire_of(jnp.zeros((2 * N, 6)), plan).replace(origin=jnp.tile(jnp.arange(N), 2))
    for wire, got in ((late, "messages that are late"), (twice, "10 messages in a round of 5 nodes")):
        with pytest.raises(InputError, match=f"got {got} .*put the compressor first"):
            jax.eval_shape(lambda wire: network.apply(state, wire, KEY), wire)
        jax.eval_shape(lambda wire: exchange.Compressed(TopK(0.5), Spy()).apply(((), ()), wire, KEY), wire)


def test_a_compressor_of_the_old_form_is_refused():
    @struct.dataclass
    class Old:
        def __call__(self, message, key):
            return message, jnp.float32(0)

    problem = jdl.problems.quadratic(nodes=N, dim=2)
    parts = problem, jdl.algorithms.DPSGD(), topology.ring(N)
    for network in ([Old()], [exchange.Choco(compressor=Old())]):
        with pytest.raises(InputError, match=r"lacks `init`|without `init`"):
            jdl.simulation(*parts, network)


def test_what_a_compressor_breaks():
    assert exchange.Compressed(HalfPrecision()).breaks == {"exact"}
    assert exchange.Compressed(Identity()).breaks == {"per_link"}
    assert exchange.Compressed(ErrorFeedback(HalfPrecision())).breaks == {"exact", "per_link", "copies"}
    assert exchange.Choco().breaks == {"per_link", "each"}


def test_the_size_of_narrow_messages_for_single_links():
    """Of three numbers for each of two neighbours and two whole numbers for all, a link carries 96 + 64 bits."""
    message = {"links": PerLink(jnp.ones((N, 2, 3))), "ids": Each(jnp.ones((N, 2), jnp.int32))}
    network = exchange.Compressed(HalfPrecision(), Spy())
    wire = wire_of(message, topology.ring(N).plan("slots"), np.full(N, 160.0))
    sent, _, (delivery,) = network.apply(network.init(message), wire, KEY)
    np.testing.assert_allclose(delivery.bits, np.full(N, 3 * 16 + 2 * 32), rtol=1e-6)
    assert sent["links"].content.dtype == jnp.bfloat16 and sent["ids"].content.dtype == jnp.int32


def test_error_feedback_reaches_the_optimum_where_its_compressor_alone_does_not():
    """Clients whose gradients are zero only on the mean send their two largest entries of twenty, for 2,000 rounds."""
    problem = jdl.problems.quadratic(nodes=N, dim=20)
    excess = {}
    for codec in (TopK(0.1), ErrorFeedback(TopK(0.1))):
        simulation = jdl.simulation(problem, jdl.algorithms.FedSGD(lr=0.02), jdl.schedule.Sampling(N, N), [codec])
        end, _ = jax.jit(jdl.sim.advance)(simulation, jdl.sim.init(simulation), 2000)
        excess[type(codec)] = float(jdl.sim.evaluate(simulation, end)["suboptimality"])
    assert excess[ErrorFeedback] < 1e-3 < 0.1 < excess[TopK]


# ---- the way down -------------------------------------------------------------------------------------------------


def test_eight_bits_a_number_on_the_way_down():
    """Clients begin at C(x), of 8 bits a number, and the server adds the mean change to its own x.

    f_i(x) = |x - b_i|^2 / 2, so that one step of a client from C(x) changes it by -lr (C(x) - b_i).
    """
    lr, dim, m, rounds = 0.3, 7, 3, 4
    problem = jdl.problems.quadratic(nodes=N, dim=dim, condition=1.0)
    simulation = jdl.simulation(
        problem, jdl.algorithms.FedAvg(lr=lr), jdl.schedule.Sampling(N, m), network_down=[Uniform(8)]
    )
    start = np.random.default_rng(0).standard_normal(dim).astype(np.float32)
    state, x, b = jax.jit(jdl.sim.init)(simulation, start), start.astype(np.float64), np.asarray(problem.b, np.float64)
    step, drawn = jax.jit(jdl.sim.step), jax.jit(lambda state: plan_at(simulation, state)[0].participants)
    for _ in range(rounds):
        clients, scale = np.asarray(drawn(state)), np.abs(x).max() / 127
        received = np.round(x / scale) * scale
        assert np.abs(received - x).max() > 1e-4
        state, _ = step(simulation, state)
        x = x - lr * (received - b[clients]).mean(0)
        np.testing.assert_allclose(state.server, x, rtol=1e-5, atol=1e-5)
    assert float(state.traffic.bits[0, N]) == rounds * m * (8 * dim + 32)
    assert float(state.traffic.bits[0, :N].sum()) == rounds * m * 32 * dim  # the way up is as it was
    assert float(state.traffic.messages[0, N]) == rounds * m
