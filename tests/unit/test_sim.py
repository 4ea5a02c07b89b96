"""The simulator itself: starts, counting, divergence, what is sent, keys."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import advance, after, init, step
from flax import struct

import jdl
from jdl import algorithms, exchange, schedule, topology
from jdl.compressors import TopK
from jdl.engine import sim, totals, xla
from jdl.types import Circulant, Plan, Server, Traffic

N, DIM = 6, 3

# Numbers that a message holds, from each method's "Sends:", and exchanges a round.
SENDS = {
    "LocalOnly": (0, 0),
    "DPSGD": (DIM, 1),
    "DGD": (DIM, 1),
    "D2": (DIM, 1),
    "ExactDiffusion": (DIM, 1),
    "GradientTracking": (2 * DIM, 1),
    "AugDGM": (DIM, 1),  # the tracker only from round 1 on: its own tests count it
    "PushSum": (DIM + 1, 1),
}


def problem(**kwargs):
    return jdl.problems.quadratic(nodes=N, dim=DIM, **kwargs)


# Of each kind of message one; the others run with the slow checks.
KINDS = ("LocalOnly", "DPSGD", "GradientTracking", "PushSum")


@pytest.mark.parametrize(
    "name", [*KINDS, *(pytest.param(name, marks=pytest.mark.slow) for name in SENDS if name not in KINDS)]
)
def test_what_a_round_sends(name):
    numbers, phases = SENDS[name]
    simulation = jdl.simulation(problem(), getattr(algorithms, name)(), topology.ring(N))
    state, _ = after(simulation, 1)
    np.testing.assert_array_equal(state.traffic.messages[0], np.full(N, 2 * phases))
    np.testing.assert_array_equal(state.traffic.bits[0], np.full(N, 2 * phases * numbers * 32))


def test_one_start_for_all_or_one_for_each():
    simulation = jdl.simulation(problem(), algorithms.DPSGD(), topology.ring(N))
    drawn = init(simulation).nodes.x
    assert np.array_equal(drawn, np.broadcast_to(drawn[:1], drawn.shape))
    other = jdl.simulation(problem(), algorithms.DPSGD(), topology.ring(N), seed=1)
    assert not np.array_equal(init(other).nodes.x, drawn)
    one = np.arange(DIM, dtype=np.float32)
    assert np.array_equal(init(simulation, one).nodes.x, np.tile(one, (N, 1)))
    each = np.arange(N * DIM, dtype=np.float64).reshape(N, DIM)
    assert np.array_equal(sim.init(simulation, each).nodes.x, each)
    assert sim.init(simulation, each).nodes.x.dtype == jnp.float32


def test_a_hundred_thousand_additions_are_exact():
    """Odd numbers need every bit: a plain float32 sum stands still or rounds from 2^24 on."""
    times = 100_001
    summed = jax.jit(lambda new, t: jax.lax.fori_loop(0, times, lambda _, t: totals.tally(t, new, None), t))
    for odd in (1001.0, 12345677.0, 2.0**24 - 1):
        exact(summed, odd, times)


def exact(summed, odd, times):
    new = Traffic(bits=jnp.asarray([odd, 1.0], jnp.float32), messages=jnp.asarray([1.0, odd], jnp.float32))
    zero = Traffic(bits=jnp.zeros((2, 2)), messages=jnp.zeros((2, 2)))
    total = summed(new, zero)
    bits = np.asarray(total.bits, np.float64)
    np.testing.assert_array_equal(bits[0] - bits[1], [odd * times, times])
    plain = np.cumsum(np.full(times, odd, np.float32), dtype=np.float32)[-1]
    assert float(plain) != odd * times  # the correction is needed


def test_the_tally_of_participants_reaches_their_rows():
    zero = Traffic(bits=jnp.zeros((2, 4)), messages=jnp.zeros((2, 4)))
    new = Traffic(bits=jnp.asarray([5.0, 7.0]), messages=jnp.ones(2))
    total = totals.tally(zero, new, jnp.asarray([3, 1]))
    np.testing.assert_array_equal(total.bits[0], [0, 7, 0, 5])


def test_divergence_names_its_round():
    """x <- (1 - lr) x overflows float32 in the round in which a NumPy float32 recursion does."""
    lr = np.float32(50.0)
    data = jdl.problems.quadratic(nodes=N, dim=1, condition=1.0, heterogeneity=0.0)  # A = 1
    b = np.asarray(data.b)[0]
    simulation = jdl.simulation(data, algorithms.LocalOnly(lr=float(lr)))
    x, rounds = np.float32(1.0) + b, 0
    with np.errstate(over="ignore", invalid="ignore"):
        while np.isfinite(x).all():
            before, x, rounds = x, x - lr * (x - b), rounds + 1
    assert np.all(np.isfinite(N * before))  # so that a test by sums would say the same
    start = np.float32(1.0) + b
    whole, _ = advance(simulation, init(simulation, start), 60)
    assert 10 < rounds < 60
    assert int(whole.status) == rounds and int(whole.t) == 60
    halted, _ = advance(simulation, init(simulation, start), 60, halt=True)
    assert int(halted.status) == rounds and int(halted.t) == rounds


def test_one_diverged_node_is_enough():
    simulation = jdl.simulation(problem(), algorithms.LocalOnly(lr=0.1))
    start = np.zeros((N, DIM), np.float32)
    start[3, 1] = np.nan
    state, _ = step(simulation, init(simulation, start))
    assert int(state.status) == 1
    start[3, 1] = 1e38  # large is not broken
    state, _ = step(simulation, init(simulation, start))
    assert int(state.status) == -1


def test_large_finite_models_are_not_broken():
    """Every number is finite, though their sum is not."""
    simulation = jdl.simulation(problem(), algorithms.LocalOnly(lr=0.0))
    state, _ = step(simulation, init(simulation, np.full((N, DIM), 1e38, np.float32)))
    assert int(state.status) == -1


def test_marks_of_simulate():
    simulation = jdl.simulation(problem(), algorithms.DPSGD(), topology.ring(N))
    run = jax.jit(sim.simulate, static_argnums=(1, 2))
    assert run(simulation, 7, 3)[1]["round"].tolist() == [0, 3, 6, 7]
    marks = jax.jit(lambda one, rounds, every: sim.simulate(one, rounds, every)[1]["round"], static_argnums=(1, 2))
    assert marks(simulation, 6, 3).tolist() == [0, 3, 6] and marks(simulation, 5, 100).tolist() == [0, 5]
    state, history = run(simulation, 7, 3)
    straight, _ = after(simulation, 7)
    np.testing.assert_allclose(state.nodes.x, straight.nodes.x, rtol=1e-6)
    measured = jax.jit(sim.evaluate)(simulation, straight)
    assert float(history["mean_loss"][-1]) == pytest.approx(float(measured["mean_loss"]), rel=1e-5)


def test_simulate_maps_over_seeds():
    simulation = jdl.simulation(problem(noise=0.5), algorithms.DPSGD(), topology.ring(N))
    many = jax.jit(
        jax.vmap(lambda seed: sim.simulate(simulation.replace(key=jax.random.key(seed)), 4, 4)[1]["mean_loss"])
    )
    swept, run = many(jnp.arange(3)), jax.jit(sim.simulate, static_argnums=(1, 2))
    for seed in range(3):
        alone = jdl.simulation(problem(noise=0.5), algorithms.DPSGD(), topology.ring(N), seed=seed)
        np.testing.assert_allclose(swept[seed], run(alone, 4, 4)[1]["mean_loss"], rtol=1e-5)


@struct.dataclass
class Everybody:
    """A server that names no participants: all rows, in order, as `Plan` allows."""

    n: int = struct.field(pytree_node=False)

    def init(self, key):
        return ()

    def __call__(self, memory, t, key, seen=None):
        links = Server(weights=jnp.ones(self.n), used=jnp.ones(self.n, bool))
        return Plan(links=links, self_weights=jnp.zeros(self.n), stochastic="row"), memory


def test_a_server_plan_may_leave_participants_out():
    named = jdl.simulation(problem(), algorithms.FedAvg(), schedule.Sampling(N, N))
    unnamed = jdl.simulation(problem(), algorithms.FedAvg(), Everybody(N))
    one, other = (after(simulation, 4)[0] for simulation in (named, unnamed))
    np.testing.assert_allclose(one.server, other.server, rtol=1e-6)
    np.testing.assert_array_equal(one.traffic.bits, other.traffic.bits)


@struct.dataclass
class Curious:
    """An algorithm whose state is what its node is told."""

    needs = frozenset({"peers"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return {"x": params, "seen": self.look(node)}

    def look(self, node):
        return (node.id, node.t, node.self_weight, node.degree, node.num_examples, jax.random.key_data(node.key))

    def send(self, state, node):
        return (), {**state, "seen": self.look(node)}

    def recv(self, state, inbox, node):
        return state, {"double": 2 * node.id.astype(jnp.float32)}

    def model(self, state):
        return state["x"]


def test_what_a_node_is_told():
    star = topology.from_weights([[0.4, 0.3, 0.3], [0.3, 0.7, 0], [0.3, 0, 0.7]])
    simulation = jdl.simulation(jdl.problems.quadratic(nodes=3, dim=2), Curious(), star, seed=3)
    state, info = after(simulation, 5)
    ids, t, own, degree, examples, keys = state.nodes["seen"]
    assert ids.tolist() == [0, 1, 2] and t.tolist() == [4, 4, 4]
    np.testing.assert_allclose(own, [0.4, 0.7, 0.7], rtol=1e-6)
    assert degree.tolist() == [2, 1, 1] and examples.tolist() == [1, 1, 1]
    expected = [jax.random.key_data(jdl.sim.key_of(jax.random.key(3), "node", 4, i)) for i in range(3)]
    np.testing.assert_array_equal(keys, np.stack(expected))
    assert float(info["double"]) == 2.0  # the mean over nodes
    blank = after(simulation, 0)[1]
    assert np.isnan(blank["double"])


def test_a_round_that_changes_its_state_is_refused():
    @struct.dataclass
    class Growing(Curious):
        def recv(self, state, inbox, node):
            return {**state, "seen": (*state["seen"][:5], jnp.float32(0))}, {}

    with pytest.raises(jdl.checks.InputError, match="Growing whose round turns"):
        jdl.simulation(problem(), Growing(), topology.ring(N))


def test_no_topology_means_no_links():
    simulation = jdl.simulation(problem(), algorithms.LocalOnly())
    plan, _ = simulation.schedule((), jnp.int32(0), simulation.key)
    assert isinstance(plan.links, Circulant) and np.array_equal(topology.to_dense(plan), np.eye(N))


def test_a_two_phase_method_draws_its_losses_anew():
    """The two exchanges of a round lose different links."""
    simulation = jdl.simulation(problem(), algorithms.AugDGM(), topology.complete(N), [exchange.Lossy(0.5)])
    seen = []

    @struct.dataclass
    class Noting:
        needs = frozenset()
        breaks = frozenset({"reliable"})

        def init(self, message):
            return ()

        def apply(self, link, wire, key):
            seen.append(np.asarray(jax.random.key_data(key)))
            return exchange.Linear().apply(link, wire, key)

    simulation = simulation.replace(exchange=Noting())
    sim.step(simulation, sim.init(simulation))
    assert len(seen) == 2 and not np.array_equal(*seen)


def test_a_run_in_float64(x64):
    simulation = jdl.simulation(problem(), algorithms.PushSum(lr=0.1), topology.exponential(N), [TopK(0.5)])
    state, _ = jax.eval_shape(sim.step, simulation, jax.eval_shape(sim.init, simulation))
    assert state.nodes.x.dtype == jnp.float64 and state.nodes.w.dtype == jnp.float64
    assert state.traffic.bits.dtype == jnp.float32


def test_algorithms_of_equal_fields_are_never_taken_for_each_other():
    """JAX compares such dataclasses as equal; by chance of their hashes, jit then runs the program of another."""
    built = jdl.simulation(jdl.problems.quadratic(nodes=2, dim=1), jdl.algorithms.DPSGD(), jdl.topology.ring(2))
    identity = jax.jit(lambda simulation: simulation)
    for number in range(100):
        kind = struct.dataclass(type(f"Method{number}", (), {"__annotations__": {"lr": float}}))
        simulation = built.replace(algorithm=kind(lr=jnp.ones(())))
        assert type(identity(simulation).algorithm) is kind
        assert jax.tree.structure(simulation) != jax.tree.structure(built)


def test_messages_are_written_before_they_are_read(monkeypatch):
    """The same numbers bit by bit, from a program with more loops; derivatives pass through."""
    results, loops = [], []
    for fence in (lambda t, message: message, xla.written_once):
        monkeypatch.setattr(xla, "written_once", fence)
        built = jdl.simulation(problem(), algorithms.DPSGD(lr=0.1), topology.ring(N))
        # With the tests' own way to write fusions, two sums of two programs may differ in their last bit.
        cheap = "xla_cpu_use_fusion_emitters" in os.environ.get("XLA_FLAGS", "")
        usual = {"xla_cpu_use_fusion_emitters": True} if cheap else {}
        program = jax.jit(lambda built, state: sim.step(built, state)[0].nodes, compiler_options=usual)
        state = init(built)
        loops.append(program.lower(built, state).as_text().count("stablehlo.while"))
        results.append(program(built, state).x)
    np.testing.assert_array_equal(*results)
    assert loops[1] > loops[0]
    slope = jax.grad(lambda x: jnp.sum(xla.written_once(jnp.int32(0), {"x": x**2, "id": jnp.arange(3)})["x"]))
    np.testing.assert_array_equal(slope(jnp.arange(3.0)), 2 * jnp.arange(3.0))
