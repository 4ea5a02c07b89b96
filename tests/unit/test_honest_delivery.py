"""Seven ways in which a simulation could lie about what is delivered, each with the test that catches it.

Whether metrics see what each node meets is the seventh; tests/unit/test_metrics.py asks it.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import advance, after, init
from flax import struct

import jdl
from jdl.compressors import HalfPrecision
from jdl.exchange import Lossy, PerModule, SignFlip
from jdl.types import Each

N, DIM = 8, 3
DATA = jdl.problems.quadratic(nodes=N, dim=DIM)
START = np.arange(1.0, 1 + DIM, dtype=np.float32)
LOSSES = np.einsum("i,nij,j->n", START, DATA.A, START) / 2 - np.asarray(DATA.b) @ START


@struct.dataclass
class Telling:
    """Federated averaging of gradients, whose server keeps what it was told last and what clients reported."""

    needs = frozenset({"server", "grad", "loss"})
    phases = (("broadcast", "client", "server"),)

    def init(self, params, n):
        rows = jnp.zeros(n)
        told = {"participants": jnp.int32(-1), "participation": jnp.float32(-1), "arrived": rows > 1}
        return params, told, rows

    def client_init(self, params, node):
        return ()

    def broadcast(self, state):
        return state[0]

    def client(self, x, state, node):
        return {"step": -0.1 * node.grad(x)[0], "loss": Each(node.loss(x))}, state

    def server(self, state, aggregate, info):
        x, told, _ = state
        return x + aggregate["step"], {name: info[name] for name in told}, aggregate["loss"].content

    def weight(self, state, node):
        return jnp.ones(())

    def model(self, state):
        return state[0]


def reported(network, **parts):
    """What the server of a round was told, what clients reported, the column of the history, and the traffic."""
    state, info = after(jdl.simulation(DATA, Telling(), None, network, **parts), 1, START)
    x, told, losses = jax.tree.map(np.asarray, state.server)
    return x, told, losses, float(info["loss"]), np.asarray(state.traffic.bits[0])


# ---- 1. A server knows of what arrived, and of nothing else -------------------------------------------------------


def test_a_server_is_told_of_what_arrived():
    x, told, losses, column, bits = reported([Lossy(1.0)])
    assert told["participants"] == told["participation"] == 0 and not told["arrived"].any()
    assert not losses.any() and np.isnan(column) and np.array_equal(x, START)
    np.testing.assert_array_equal(bits[:N], 32 * (DIM + 1))  # sent, and lost
    _, told, losses, column, _ = reported([Lossy(0.5)])
    there = told["arrived"]
    assert 0 < told["participants"] == there.sum() < N and told["participation"] == there.sum() / N
    np.testing.assert_allclose(losses, np.where(there, LOSSES, 0), rtol=1e-5)
    assert column == pytest.approx(LOSSES[there].mean(), rel=1e-5)


@pytest.mark.parametrize("name", ["AFL", "DRFA"])
def test_shares_are_not_learned_from_reports_that_are_lost(name):
    built = jdl.simulation(DATA, getattr(jdl.algorithms, name)(share_lr=0.1), None, [Lossy(1.0)])
    deaf = advance(built, init(built, START), 3)[0]
    np.testing.assert_allclose(deaf.server.share, 1 / N, rtol=1e-6)
    heard = built.replace(exchange=built.exchange.replace(probability=jnp.float32(0)))
    assert np.ptp(advance(heard, init(heard, START), 3)[0].server.share) > 1e-2


# ---- 2. Reports travel as the rest does ---------------------------------------------------------------------------


def test_reports_are_falsified_narrowed_and_counted():
    _, _, losses, _, bits = reported([])
    np.testing.assert_allclose(losses, LOSSES, rtol=1e-5)
    np.testing.assert_array_equal(bits, [32 * (DIM + 1)] * N + [32 * DIM * N])
    honest = np.arange(N) % 4 != 1
    _, _, losses, _, _ = reported([SignFlip(strength=2.0)], roles=jdl.roles.of(honest=honest))
    np.testing.assert_allclose(losses, np.where(honest, LOSSES, -2 * LOSSES), rtol=1e-5)
    _, _, losses, _, bits = reported([HalfPrecision()])
    np.testing.assert_array_equal(losses, np.asarray(jnp.asarray(losses, jnp.bfloat16), np.float32))
    np.testing.assert_allclose(losses, LOSSES, rtol=2**-8)
    np.testing.assert_array_equal(bits[:N], 16 * (DIM + 1))


def test_a_report_costs_its_bits_beside_an_empty_message():
    """DRFA: a change at the end and one at the snapshot, then a loss; down a model, then the snapshot."""
    state, _ = after(jdl.simulation(DATA, jdl.algorithms.DRFA()), 1, START)
    np.testing.assert_array_equal(state.traffic.bits[0], [2 * 32 * DIM + 32] * N + [2 * 32 * DIM * N])
    np.testing.assert_array_equal(state.traffic.messages[0], [2] * N + [2 * N])


# ---- 3. The history averages over those who took part -------------------------------------------------------------


@struct.dataclass
class OneAwake:
    """A ring of which node 2 alone is awake."""

    graph: jdl.schedule.Fixed
    n = 4

    def init(self, key):
        return ()

    def __call__(self, memory, t, key, seen=None):
        plan = self.graph((), t, key)[0]
        return plan.replace(active=jnp.arange(4) == 2), memory


@struct.dataclass
class Sixes:
    """Nodes report 0, except node 2, which reports 6."""

    needs = frozenset({"peers"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return params

    def send(self, state, node):
        return (), state

    def recv(self, state, inbox, node):
        return state, {"number": jnp.where(node.id == 2, 6.0, 0.0)}

    def model(self, state):
        return state


def test_the_history_is_the_mean_over_those_who_took_part():
    built = jdl.simulation(
        jdl.problems.quadratic(nodes=4, dim=2), Sixes(), OneAwake(jdl.schedule.Fixed.of(jdl.topology.ring(4)))
    )
    assert float(after(built, 1)[1]["number"]) == 6
    everybody = built.replace(schedule=built.schedule.graph)
    assert float(after(everybody, 1)[1]["number"]) == 1.5


# ---- 4. What is kept on both sides agrees, or losses are refused --------------------------------------------------


def test_two_copies_of_an_estimate_agree_or_losses_are_refused():
    """For every method: tests/laws/test_laws_reliability.py."""
    ef21 = jdl.algorithms.EF21(compressor=jdl.compressors.TopK(0.4))
    with pytest.raises(jdl.checks.InputError, match="EF21 that needs 'reliable', which the network breaks"):
        jdl.simulation(DATA, ef21, None, [Lossy(0.3)])
    built = jdl.simulation(DATA, ef21)

    def gap(probability):
        lossy = built.replace(exchange=Lossy(jnp.float32(probability)))
        state = advance(lossy, init(lossy, START), 20)[0]
        return np.abs(np.asarray(state.server.g) - np.asarray(state.nodes.h).mean(0)).max()

    assert gap(0.0) < 1e-5 and gap(0.3) > 1e-2


# ---- 5. The network acts on the way down as well ------------------------------------------------------------------


def test_a_broadcast_meets_the_network_down():
    plain, _ = after(jdl.simulation(DATA, jdl.algorithms.FedAvg()), 1, START / 3)
    half, _ = after(jdl.simulation(DATA, jdl.algorithms.FedAvg(), network_down=[HalfPrecision()]), 1, START / 3)
    assert float(plain.traffic.bits[0, N]) == 32 * DIM * N and float(half.traffic.bits[0, N]) == 16 * DIM * N
    np.testing.assert_array_equal(half.traffic.bits[0, :N], plain.traffic.bits[0, :N])
    # Clients step from what they heard, and send changes of it, which the server adds to what it has.
    heard = np.asarray(jnp.asarray(START / 3, jnp.bfloat16), np.float32)
    step = -0.1 * (np.einsum("nij,j->ni", DATA.A, heard) - DATA.b).mean(0)
    np.testing.assert_allclose(half.server, START / 3 + step, rtol=0, atol=1e-6)
    assert np.abs(half.server - plain.server).max() > 1e-5


# ---- 6. A module is averaged over those who hold it ---------------------------------------------------------------


def test_a_module_moves_to_the_mean_of_its_holders():
    modules = np.array([0, 0, 0, -1, 1, 1, -1, 0])
    built = jdl.simulation(DATA, jdl.algorithms.DPSGD(lr=0.0), jdl.topology.complete(N), [PerModule.of(modules)])
    start = np.random.default_rng(0).standard_normal((N, DIM)).astype(np.float32)
    models = np.asarray(after(built, 1, start)[0].nodes.x)
    for i, module in enumerate(modules):
        holders = [i] if module < 0 else np.flatnonzero(modules == module)
        np.testing.assert_allclose(models[i], start[holders].mean(0), rtol=0, atol=1e-6)
