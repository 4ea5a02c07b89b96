"""Zeroth-order gossip: replicas that stay equal to the last bit, steps against NumPy, and 64 bits a message."""

import jax
import jax.numpy as jnp
import numpy as np
import ways
from programs.zeroth_order import ZerothOrder

import jdl

N, LR = 8, 0.05
DATA = jdl.problems.quadratic(nodes=N, dim=3)


def build(seed=0, **how):
    return jdl.simulation(DATA, ZerothOrder(lr=LR), jdl.topology.complete(N), seed=seed, **how)


def test_replicas_on_the_complete_graph_stay_equal_bit_for_bit():
    simulation, state = build(), ways.state_after(build())
    x = np.asarray(jdl.sim.models(simulation, state))
    assert np.array_equal(x, np.broadcast_to(x[0], x.shape))
    assert np.all(state.traffic.bits[0] == ways.ROUNDS * (N - 1) * 64)
    later = jdl.sim.models(simulation, ways.advance(simulation, state, jnp.int32(200)))
    assert np.array_equal(later, np.broadcast_to(later[0], later.shape))
    loss = lambda x: DATA.evaluate(x[0])["loss"] - DATA.optimum.loss
    assert loss(later) < 0.05 * loss(ways.init(simulation).nodes[0])


def test_a_round_is_the_mean_of_the_steps_along_all_directions():
    """On a quadratic, central differences are exact: s_j = u_j . (A_j x_j - b_j)."""
    x = np.random.default_rng(0).standard_normal((N, 3)).astype(np.float32)
    simulation = build()
    state = ways.init(simulation, x)
    (wire,) = ways.wires(simulation, state)
    u = np.stack([jax.random.normal(jax.random.key(seed), (3,)) for seed in wire.sent.content["seed"]])
    slope = np.sum(u * (np.einsum("nij,nj->ni", np.asarray(DATA.A), x) - np.asarray(DATA.b)), axis=1)
    np.testing.assert_allclose(wire.sent.content["slope"], slope, rtol=1e-4, atol=1e-5)
    after = ways.advance(simulation, state, jnp.int32(1))
    expected = x - LR * np.mean(slope[:, None] * u, axis=0)
    np.testing.assert_allclose(jdl.sim.models(simulation, after), expected, rtol=1e-5, atol=1e-6)


@ways.of("zeroth_order")
def test_in_all_ways(names):
    ways.check(build, names)
