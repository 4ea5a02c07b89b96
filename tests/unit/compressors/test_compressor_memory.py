"""Compressors that remember the messages before: error feedback, and power iterations that go on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdl.compressors import ErrorFeedback, HalfPrecision, Identity, LowRank, PowerSGD, TopK, Uniform

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
MESSAGES = {
    "x": RNG.standard_normal((30, 6, 5)).astype(np.float32),
    "b": RNG.standard_normal((30, 7)).astype(np.float32),
}


def row(messages, t):
    return jax.tree.map(lambda x: x[t], messages)


def sequence(compressor, messages, memory=None):
    """Messages `[T, ...]` of one sender, one after the other: all that is decoded, and the memory after the last."""

    def compressed(messages):
        def step(memory, given):
            t, message = given
            sent, memory, bits = compressor(memory, message, jax.random.fold_in(KEY, t))
            return memory, (sent, bits)

        start = compressor.init(row(messages, 0)) if memory is None else memory
        rounds = jnp.arange(len(jax.tree.leaves(messages)[0]))
        memory_after, (sent, bits) = jax.lax.scan(step, start, (rounds, messages))
        return sent, memory_after, bits

    return jax.jit(compressed)(jax.tree.map(jnp.asarray, messages))


# ---- error feedback -----------------------------------------------------------------------------------------------


def test_without_an_error_there_is_nothing_to_feed_back():
    sent, memory, bits = sequence(ErrorFeedback(Identity()), MESSAGES)
    jax.tree.map(np.testing.assert_array_equal, sent, MESSAGES)
    assert all(np.all(np.asarray(error) == 0) for error in memory.error)
    np.testing.assert_array_equal(bits, np.full(30, 32 * 37))


@pytest.mark.parametrize("inner", [TopK(0.2), Uniform(2, stochastic=True), PowerSGD(1), LowRank(1, inner=Uniform(3))])
def test_what_is_decoded_and_the_error_add_up_to_the_messages(inner):
    sent, memory, _ = sequence(ErrorFeedback(inner), MESSAGES)
    errors = dict(zip(sorted(MESSAGES), memory.error, strict=True))
    assert max(np.abs(error).max() for error in errors.values()) > 0.1  # C does leave something out
    for name, messages in MESSAGES.items():
        total = np.asarray(sent[name], np.float64).sum(0) + np.asarray(errors[name], np.float64)
        np.testing.assert_allclose(total, messages.astype(np.float64).sum(0), rtol=0, atol=3e-5)


def test_error_feedback_is_the_recursion_of_the_paper():
    """By hand: the two largest of seven entries of m + e are sent, and the others stay in e."""
    sent, memory, _ = sequence(ErrorFeedback(TopK(2 / 7)), MESSAGES["b"])
    error = np.zeros(7)
    for message, decoded in zip(MESSAGES["b"].astype(np.float64), np.asarray(sent), strict=True):
        wanted = message + error
        kept = np.argsort(-np.abs(wanted))[:2]
        by_hand = np.zeros(7)
        by_hand[kept] = wanted[kept]
        error = wanted - by_hand
        np.testing.assert_allclose(decoded, by_hand, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(memory.error[0], error, rtol=1e-5, atol=1e-5)


def test_the_error_of_a_narrow_message_is_kept_in_the_wide_type():
    """300 times 1 + 2^-10, which bfloat16 rounds to 1; and a network that narrows messages after init."""
    codec = ErrorFeedback(HalfPrecision("bfloat16"))
    sent, memory, _ = sequence(codec, np.full((300, 3), 1 + 2.0**-10, np.float32))
    np.testing.assert_array_equal(np.sum(sent, axis=0) + memory.error[0], 300 * (1 + 2.0**-10))
    assert np.all(np.sum(sent, axis=0) > 300)
    memory = codec.init(jnp.zeros(3, jnp.float32))
    narrow = jnp.full(3, 1.0, jnp.bfloat16)
    decoded, memory, _ = codec(memory._replace(error=[jnp.full(3, 2.0**-10)]), narrow, KEY)
    assert decoded.dtype == jnp.bfloat16 and memory.error[0].dtype == jnp.float32
    np.testing.assert_array_equal(decoded.astype(jnp.float32) + memory.error[0], 1 + 2.0**-10)


# ---- power iterations ---------------------------------------------------------------------------------------------


def test_a_matrix_of_the_rank_arrives_whole_and_so_do_those_after_it():
    low = (RNG.standard_normal((4, 3, 7, 2)) @ RNG.standard_normal((4, 1, 2, 20))).astype(np.float32)  # 21 x 20, rank 2
    low[1] = 0  # a message of zeros leaves no Q to start from
    half = [jnp.asarray(np.c_[RNG.standard_normal(20), np.zeros(20)], jnp.float32)]  # ... nor does half a Q
    sent, _, bits = sequence(PowerSGD(2), low, half)
    np.testing.assert_allclose(sent, low, rtol=0, atol=2e-5)
    np.testing.assert_array_equal(bits, np.full(4, 32 * 2 * (21 + 20)))


def test_the_same_matrix_again_and_again_is_known_better_and_better(x64):
    """The error tends to the tail of the singular values, which one iteration from a fresh start does not reach."""
    matrix = RNG.standard_normal((14, 15))
    tail = np.square(np.linalg.svd(matrix, compute_uv=False)[3:]).sum()
    sent, _, _ = sequence(PowerSGD(3), np.tile(matrix, (200, 1, 1)))
    error = np.square(np.asarray(sent) - matrix).sum((1, 2))
    assert error[0] > 1.05 * tail and np.all(error > tail * (1 - 1e-9))
    np.testing.assert_allclose(error[-1], tail, rtol=1e-3)
    forgetful = np.asarray(sequence(LowRank(3), np.tile(matrix, (20, 1, 1)))[0])
    assert np.square(forgetful - matrix).sum((1, 2)).min() > 1.02 * tail


def test_power_iterations_are_those_of_the_paper(x64):
    """By hand, from a Q of our own: P = orth(M Q), decoded = P P^T M, which spans the next Q as well."""
    matrices, q = RNG.standard_normal((5, 9, 8)), RNG.standard_normal((8, 2))
    sent, memory, _ = sequence(PowerSGD(2), matrices, [jnp.asarray(q)])
    for matrix, decoded in zip(matrices, np.asarray(sent), strict=True):
        p = np.linalg.svd(matrix @ q, full_matrices=False)[0]  # another basis of the same span
        np.testing.assert_allclose(decoded, p @ p.T @ matrix, rtol=1e-9, atol=1e-12)
        q = matrix.T @ p
    np.testing.assert_allclose(memory[0] @ memory[0].T, q @ q.T, rtol=1e-9, atol=1e-12)
