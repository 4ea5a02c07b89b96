"""What the next round would put on links, against what it then delivers."""

import jax
import jax.numpy as jnp
import numpy as np

import jdl

N, DIM = 6, 4


def test_wires_show_what_the_exchanges_made_of_the_messages_and_a_round_delivers_just_that():
    roles, ring = jdl.roles.of(honest=np.arange(N) != 2), jdl.topology.ring(N)
    network = [jdl.compressors.TopK(0.5), jdl.exchange.SignFlip(strength=3.0)]
    problem, method = jdl.problems.quadratic(N, dim=DIM), jdl.algorithms.DPSGD(lr=0.1)
    simulation = jdl.simulation(problem, method, ring, network, roles=roles)
    state = jdl.sim.init(simulation, jax.random.normal(jax.random.key(3), (N, DIM)))
    (wire,) = jax.jit(jdl.sim.wires)(simulation, state)
    own, sent = np.asarray(wire.own), np.asarray(wire.sent)

    x = np.asarray(state.nodes.x)
    stepped = x - 0.1 * (np.einsum("nij,nj->ni", problem.A, x) - problem.b)
    np.testing.assert_allclose(own, stepped, rtol=1e-5, atol=1e-6)
    kept = np.abs(own) >= np.sort(np.abs(own), axis=1)[:, -2:-1]  # the two largest of four
    np.testing.assert_allclose(
        sent, np.where(kept, own, 0) * np.where(np.arange(N) == 2, -3.0, 1.0)[:, None], rtol=1e-6
    )
    np.testing.assert_array_equal(wire.bits, np.full(N, 2 * (32 + 2)))
    assert np.array_equal(wire.origin, np.arange(N))

    W = ring.weights.toarray()
    after, _ = jax.jit(jdl.sim.step)(simulation, state)
    mixed = np.diag(W)[:, None] * own + (W - np.diag(np.diag(W))) @ sent
    np.testing.assert_allclose(after.nodes.x, mixed, rtol=1e-5, atol=1e-6)


def test_wires_of_a_server_are_the_way_down_and_the_way_up():
    problem, method = jdl.problems.quadratic(N, dim=DIM), jdl.algorithms.FedAvg(lr=0.1)
    talk, half = jdl.schedule.Sampling(N, 3), jdl.compressors.HalfPrecision()
    simulation = jdl.simulation(problem, method, talk, network_down=[half])
    down, up = jax.jit(jdl.sim.wires)(simulation, jdl.sim.init(simulation))
    assert down.sent.shape == (1, DIM) and down.sent.dtype == jnp.bfloat16
    assert np.asarray(down.origin).tolist() == [-1] and float(down.bits[0]) == 16 * DIM
    assert up.sent.shape == (3, DIM) and np.array_equal(up.origin, up.plan.participants)
