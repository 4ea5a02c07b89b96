"""Attacks that remember: Oja's rule against NumPy, and free riders over rounds."""

import attack_beds as beds
import jax
import jax.numpy as jnp
import numpy as np

import jdl
from jdl.exchange import FreeRider, Mimic
from jdl.exchange.attacks.mimic import Memory


def a_round(attack, state, wire):
    heard, state, _ = attack.replace(inner=beds.Listening()).apply(state, wire, beds.KEY)
    return heard.sent, state


step = beds.quick(a_round)


def halves(vector):
    """A vector of 7 as the two arrays of a message."""
    return [jnp.asarray(vector[:4].reshape(1, 2, 2), jnp.float32), jnp.asarray(vector[4:].reshape(1, 3), jnp.float32)]


def joined(arrays):
    return np.concatenate([np.asarray(x, np.float64).reshape(-1) for x in arrays])


def test_mimics_learn_the_direction_of_variance_by_ojas_rule():
    """Three rounds to learn in, and one after them, from a direction that is known."""
    attack, rng = Mimic(warmup=4), np.random.default_rng(5)
    mean, z = rng.standard_normal(7), rng.standard_normal(7)
    z /= np.linalg.norm(z)
    state = Memory(jnp.int32(1), jnp.int32(0), halves(mean), halves(z)), ()
    copied = []
    for t in range(1, 6):
        sent = beds.messages(seed=t)
        x = beds.rows(sent)
        told, state = step(attack, state, beds.wire("server", sent))
        if t < 4:
            mean = mean + (x.mean(axis=0) - mean) / (t + 1)
            along = (x - mean).T @ ((x - mean) @ z)
            z = t / (t + 1) * z + along / np.linalg.norm(along) / (t + 1)
            z /= np.linalg.norm(z)
            copied.append(np.flatnonzero(beds.HONEST[beds.IDS] & ~beds.SILENT)[np.argmax(x @ z)])
        np.testing.assert_allclose(joined(state[0].z), z, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(joined(state[0].mean), mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(beds.flat(told)[2], beds.flat(sent)[copied[-1]])
    assert int(state[0].t) == 4


def test_the_same_messages_for_long_give_the_first_principal_direction():
    sent = beds.messages()
    x = beds.rows(sent)
    first = np.linalg.svd(x - x.mean(axis=0))[2][0]
    attack = Mimic(warmup=300)

    @beds.quick
    def rounds(wire):
        begun = attack.replace(inner=beds.Listening()).init(wire.sent)
        return jax.lax.fori_loop(0, 300, lambda t, state: a_round(attack, state, wire)[1], begun)

    state = rounds(beds.wire("server", sent))
    assert abs(joined(state[0].z) @ first) > 0.999


def test_free_riders_pass_on_what_they_received():
    """One peer does not work: in every round it sends its inbox of the round before, and first its own message."""
    n, rounds, lr = 5, 4, 0.1
    problem = jdl.problems.quadratic(nodes=n, dim=3)
    honest = np.arange(n) != 2
    graph = jdl.topology.from_weights(W := np.full((n, n), 0.1) + 0.5 * np.eye(n))
    parts = problem, jdl.algorithms.DPSGD(lr=lr), graph, [FreeRider()]
    s = jdl.simulation(*parts, roles=jdl.roles.of(honest=honest))
    x = np.random.default_rng(0).standard_normal((n, 3))
    state = jax.jit(jdl.sim.init)(s, jnp.asarray(x, jnp.float32))
    A, b = np.asarray(problem.A, np.float64), np.asarray(problem.b, np.float64)
    one = jax.jit(lambda s, state: jdl.sim.step(s, state)[0])
    received = None
    for _ in range(rounds):
        state = one(s, state)
        half = x - lr * np.stack([A[i] @ x[i] - b[i] for i in range(n)])
        sent = half.copy()
        if received is not None:
            sent[2] = received
        x = np.stack([W[i] @ sent + W[i, i] * (half[i] - sent[i]) for i in range(n)])
        received = x[2]
    np.testing.assert_allclose(np.asarray(jdl.sim.models(s, state)), x, rtol=1e-4, atol=1e-5)
