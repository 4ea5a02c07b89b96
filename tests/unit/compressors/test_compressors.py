"""Compressors of one message: what is decoded, how many bits travelled, and what the error is bounded by."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

import jdl
from jdl.compressors import Identity, TopK, chunks
from jdl.compressors.chain import Chain
from jdl.compressors.error_feedback import ErrorFeedback
from jdl.compressors.half_precision import HalfPrecision
from jdl.compressors.low_rank import LowRank
from jdl.compressors.power_sgd import PowerSGD
from jdl.compressors.rand_k import RandK
from jdl.compressors.statistical import Statistical
from jdl.compressors.uniform import Uniform
from jdl.types import Each

KEY = jax.random.key(0)
VECTORS = np.random.default_rng(0).standard_normal((1000, 20)).astype(np.float32)


def first(compressor, message, key=KEY):
    """What is decoded of the first message of a sender, and its size."""
    sent, _, bits = compressor(compressor.init(message), message, key)
    return sent, bits


def each(compressor, rows, key=KEY):
    """Every row by itself, each with a key of its own."""
    keys = jax.random.split(key, len(rows))
    sent, bits = jax.jit(jax.vmap(lambda x, key: first(compressor, x, key)))(jnp.asarray(rows), keys)
    return np.asarray(sent), np.asarray(bits)


def many(compressor, x, draws):
    """One message, compressed with as many keys."""
    keys = jax.random.split(KEY, draws)
    return np.asarray(jax.jit(jax.vmap(lambda key: first(compressor, x, key)[0]))(keys), np.float64)


def errors(sent, rows):
    axes = tuple(range(1, rows.ndim))
    return np.square(sent - rows).sum(axes), np.square(rows).sum(axes)


MATRIX = {"kernel": jnp.asarray(VECTORS[:12, :10]), "bias": jnp.asarray(VECTORS[0, :10]), "step": jnp.float32(2.0)}
OTHERS = {"ids": jnp.arange(12, dtype=jnp.int32), "seed": jnp.uint32(2**32 - 1), "used": jnp.asarray([True, False])}
SHAPES = 12 * 10 + 10 + 1
BITS = {
    "identity": (Identity(), 32 * SHAPES),
    "top_k": (TopK(0.1), 12 * (32 + 7) + 1 * (32 + 4) + 1 * 32),
    "rand_k": (RandK(0.1), 32 * (12 + 1 + 1)),
    "int4": (Uniform(4), 4 * SHAPES + 3 * 32),
    "statistical": (Statistical(2), 2 * SHAPES + 3 * 5 * 32),
    "top_k, statistical": (Chain(TopK(0.1), Statistical(1)), 12 * (1 + 7) + 1 * (1 + 4) + 1 + 3 * 3 * 32),
    "float16": (HalfPrecision("float16"), 16 * SHAPES),
    "low_rank": (LowRank(2), 32 * (2 * (12 + 10) + 10 + 1)),
    "low_rank, whole": (LowRank(6), 32 * SHAPES),  # 6 (12 + 10) > 12 x 10
    "low_rank, int4": (LowRank(2, inner=Uniform(4)), 4 * (2 * (12 + 10) + 10 + 1) + 4 * 32),
    "top_k, int4": (Chain(TopK(0.1), Uniform(4)), 12 * (4 + 7) + 1 * (4 + 4) + 4 + 3 * 32),
    "power_sgd": (PowerSGD(2), 32 * (2 * (12 + 10) + 10 + 1)),
    "power_sgd, whole": (PowerSGD(6), 32 * SHAPES),
    "error feedback, int4": (ErrorFeedback(Uniform(4)), 4 * SHAPES + 3 * 32),
    "rand_k, bfloat16": (Chain(RandK(0.1), HalfPrecision("bfloat16")), 16 * (12 + 1 + 1)),
}


MESSAGE = {"parts": Each(MATRIX), "empty": jnp.zeros((0,)), "others": OTHERS}


@functools.cache
def seen(name):
    """What is decoded, and its size, of three messages `[3, ...]`: numbers, zeros, and what is no number."""
    rows = lambda x: jnp.stack([x, 0 * x, jnp.nan * x])
    message = {"parts": Each(jax.tree.map(rows, MATRIX)), "empty": jnp.zeros((3, 0))}
    message["others"] = jax.tree.map(lambda x: jnp.stack([x] * 3), OTHERS)
    return jax.jit(jax.vmap(functools.partial(first, BITS[name][0])))(message)


@pytest.mark.parametrize("name", BITS)
def test_bits_are_the_formula_and_shapes_stay(name):
    """An empty array costs nothing, and what is no real number counts in full."""
    sent, bits = seen(name)
    assert bits.dtype == jnp.float32 and bits.shape == (3,)
    np.testing.assert_array_equal(bits, np.full(3, BITS[name][1] + 32 * 12 + 32 + 8 * 2))
    assert jax.tree.map(lambda x: (x.shape[1:], x.dtype), sent) == jax.tree.map(lambda x: (x.shape, x.dtype), MESSAGE)


@pytest.mark.parametrize("name", BITS)
def test_zeros_stay_whole_numbers_arrive_and_what_is_not_a_number_is_seen(name):
    """A NaN arrives as one: a run must say that it diverged."""
    sent, _ = seen(name)
    for kind, given in OTHERS.items():
        assert all(np.array_equal(row, given) for row in sent["others"][kind])
    numbers = jax.tree.leaves(sent["parts"])
    assert all(np.any(np.asarray(leaf[0]) != 0) and np.all(np.asarray(leaf[1]) == 0) for leaf in numbers)
    assert all(np.isnan(leaf[2]).any() for leaf in numbers)


@pytest.mark.parametrize("name", BITS)
def test_memory_keeps_its_shapes_and_needs_only_those_of_the_message(name):
    compressor, shapes = BITS[name][0], jax.eval_shape(lambda: MATRIX)
    memory = compressor.init(shapes)
    after = jax.eval_shape(lambda memory: compressor(memory, MATRIX, KEY)[1], memory)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), memory) == jax.tree.map(lambda x: (x.shape, x.dtype), after)
    assert not jax.tree.leaves(memory) or isinstance(compressor, PowerSGD | ErrorFeedback)


@pytest.mark.parametrize(
    "compressor",
    [
        RandK(0.3, scaled=True),
        Uniform(4, stochastic=True),
        Statistical(),
        HalfPrecision(),
        LowRank(2),
        PowerSGD(2),
        ErrorFeedback(TopK(0.3)),
    ],
)
def test_other_widths_keep_their_type(compressor, x64):
    given = {dtype: jnp.asarray(VECTORS[:12, :10], dtype) for dtype in ("float16", "float64")}
    found = jax.jit(lambda given: {dtype: first(compressor, x) for dtype, x in given.items()})(given)
    for dtype, (sent, bits) in found.items():
        assert sent.dtype == dtype and bits.dtype == jnp.float32
        x = np.asarray(given[dtype], np.float64)
        error, size = np.square(np.asarray(sent, np.float64) - x).sum(), np.square(x).sum()
        assert 0 <= error < (3 if isinstance(compressor, RandK) else 1) * size


# ---- sparse -------------------------------------------------------------------------------------------------------


def test_rand_k_keeps_exactly_k_and_every_entry_as_often():
    sent, bits = each(RandK(0.25), np.tile(VECTORS[:1], (4000, 1)))
    kept = sent != 0
    assert np.all(kept.sum(1) == 5) and np.all(bits == 5 * 32)
    assert np.abs(kept.mean(0) - 0.25).max() < 5 * math.sqrt(0.25 * 0.75 / 4000)
    np.testing.assert_array_equal(sent[kept], np.broadcast_to(VECTORS[:1], sent.shape)[kept])


def test_rand_k_contracts_in_the_mean_and_scaled_it_is_unbiased():
    x, k, d = VECTORS[1].astype(np.float64), 5, 20
    plain = many(RandK(0.25), jnp.asarray(VECTORS[1]), 4000)
    error = np.square(plain - x).sum(1)
    assert abs(error.mean() / ((1 - k / d) * np.square(x).sum()) - 1) < 0.03
    scaled = many(RandK(0.25, scaled=True), jnp.asarray(VECTORS[1]), 4000)
    noise = scaled.std(0) / math.sqrt(4000)
    assert np.all(np.abs(scaled.mean(0) - x) < 5 * noise)
    assert abs(np.square(scaled - x).sum(1).mean() / ((d / k - 1) * np.square(x).sum()) - 1) < 0.05
    assert np.abs(plain.mean(0) - x).max() > 0.3  # unscaled it is not


def test_arrays_of_a_message_are_drawn_apart():
    x = {name: np.r_[1.0, np.full(399, 0.5)].astype(np.float32) for name in "ab"}
    for compressor in (RandK(0.5), Uniform(2, stochastic=True)):
        sent, _ = jax.jit(first, static_argnums=0)(compressor, x)
        assert not np.array_equal(sent["a"], sent["b"])


def test_the_fraction_of_rand_k_is_traced():
    traces = []

    @jax.jit
    def compress(codec, x):
        traces.append(codec)
        return first(codec, x)

    for fraction in (0.0, 0.05, 0.5, 1.0):
        sent, _ = compress(RandK(jnp.float32(fraction), scaled=True), jnp.ones(20))
        assert np.count_nonzero(sent) == max(1, round(fraction * 20))
        assert float(np.sum(sent)) == pytest.approx(20)
    assert len(traces) == 1


# ---- quantised ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_nearest_level(bits):
    """By hand: round(x / s) s with s = max |x| / (2^(bits-1) - 1); and its error is no larger than the entry."""
    sent, _ = each(Uniform(bits), VECTORS)
    scale = np.abs(VECTORS).max(1, keepdims=True) / (2 ** (bits - 1) - 1)
    np.testing.assert_allclose(sent, np.round(VECTORS / scale) * scale, rtol=1e-5, atol=1e-6)
    assert len(np.unique(np.round(sent / scale))) == 2**bits - 1  # as many levels as it says, over all rows
    error, size = errors(sent, VECTORS)
    assert np.all(np.abs(sent - VECTORS) <= np.minimum(scale / 2, np.abs(VECTORS)) * (1 + 1e-5) + 1e-6)
    assert np.all(error <= (1 - 1 / 20) * size + 1e-5)


@pytest.mark.parametrize(("bits", "sigmas"), [(1, 6.0), (2, 6.0), (3, 2.0), (5, 2.0)])
def test_bins_about_the_mean_are_decoded_as_their_means(bits, sigmas):
    """By hand, with `np.digitize`; the sum is kept, and the error is at most the squared distance to the mean."""
    rows = VECTORS[:300] + 0.5
    sent, _ = each(Statistical(bits, sigmas), rows)
    half = 2**bits // 2
    for x, ours in zip(rows.astype(np.float64), sent, strict=True):
        width = sigmas * x.std(ddof=1) / 2**bits
        bin = np.digitize(x - x.mean(), (np.arange(2**bits - 1) - half + 0.5) * width)
        means = np.array([x[bin == b].mean() if np.any(bin == b) else 0 for b in range(2**bits)])
        np.testing.assert_allclose(ours, means[bin], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(sent.sum(1), rows.sum(1), rtol=0, atol=1e-4)
    assert np.all(np.square(sent - rows).sum(1) <= np.square(rows - rows.mean(1, keepdims=True)).sum(1) + 1e-4)
    assert max(len(np.unique(row)) for row in sent) == 2**bits or 2**bits > 20


def test_entries_that_a_sparsifier_left_out_take_no_part_in_the_bins():
    x = VECTORS[0]
    sparse = np.where(np.abs(x) > 0.7, x, 0)
    ours, alone = (first(Statistical(2), jnp.asarray(some))[0] for some in (sparse, sparse[sparse != 0]))
    np.testing.assert_allclose(ours[sparse != 0], alone, rtol=1e-5)
    assert not np.any(ours[sparse == 0])


def test_chunks_are_blocks_that_divide_an_array_and_cosines_turn_them():
    for shape, target, sides in (
        ((4, 6), 3, (2, 3)),
        ((7,), 3, (1, 1)),
        ((12,), 5, (1, 4)),
        ((3, 4, 6), 4, (4, 3)),
        ((), 9, (1, 1)),
    ):
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        parts = chunks.chunked(x, target)
        assert parts.shape == (x.size // math.prod(sides), *sides)
        np.testing.assert_array_equal(chunks.joined(parts, shape, target), x)
        mask = np.asarray(chunks.largest_of_each(jnp.asarray(parts), 1))
        np.testing.assert_array_equal(mask.reshape(len(parts), -1).sum(1), 1)
        np.testing.assert_array_equal(np.abs(parts)[mask], np.abs(parts).reshape(len(parts), -1).max(1))
        waves = chunks.cosines(parts)
        np.testing.assert_allclose(waves, scipy.fft.dctn(parts, axes=(1, 2), norm="ortho"), rtol=0, atol=1e-5)
        np.testing.assert_allclose(chunks.from_cosines(waves), parts, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(chunks.chunked(np.arange(24).reshape(4, 6), 3)[1], [[3, 4, 5], [9, 10, 11]])


@pytest.mark.parametrize("bits", [2, 4])
def test_by_chance_it_is_unbiased(bits):
    x = VECTORS[2]
    sent = many(Uniform(bits, stochastic=True), jnp.asarray(x), 4000)
    scale = np.abs(x).max() / (2 ** (bits - 1) - 1)
    assert np.all(np.abs(sent - x) <= scale * (1 + 1e-5))
    assert np.all(np.abs(sent.mean(0) - x) < 5 * sent.std(0) / math.sqrt(4000) + 1e-6)
    nearest = many(Uniform(bits), jnp.asarray(x), 1)
    assert np.abs(nearest[0] - x).max() > scale / 4


def test_levels_of_very_large_and_very_small_numbers():
    quarter = jax.jit(lambda x: first(Uniform(4), x))
    for size in (1e-36, 1e37):
        sent, _ = quarter(jnp.asarray(VECTORS[0] / np.abs(VECTORS[0]).max() * size, jnp.float32))
        assert np.abs(np.asarray(sent)).max() == pytest.approx(size, rel=1e-5)


@pytest.mark.parametrize(("dtype", "error"), [("float16", 2.0**-11), ("bfloat16", 2.0**-8)])
def test_narrow_numbers_are_those_of_a_conversion(dtype, error):
    sent, _ = jax.jit(lambda x: first(HalfPrecision(dtype), x))(jnp.asarray(VECTORS))
    np.testing.assert_array_equal(sent, VECTORS.astype(jnp.dtype(dtype)).astype(np.float32))
    assert np.all(np.abs(sent - VECTORS) <= error * np.abs(VECTORS))
    assert not np.array_equal(sent, VECTORS)


def test_a_narrow_type_that_does_not_exist_is_refused():
    with pytest.raises(jdl.checks.InputError, match="got dtype 'int8', which does not exist"):
        HalfPrecision("int8")


# ---- low rank -----------------------------------------------------------------------------------------------------


def test_a_matrix_of_low_rank_arrives_whole():
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.standard_normal((3, 7, 2)) @ rng.standard_normal((2, 20)), jnp.float32)  # 21 x 20, rank 2
    (sent, bits), (less, _) = jax.jit(lambda x: (first(LowRank(2), x), first(LowRank(1), x)))(x)
    np.testing.assert_allclose(sent, x, rtol=0, atol=1e-5)
    assert float(bits) == 32 * 2 * (21 + 20)
    assert np.abs(less - x).max() > 0.1


def test_low_rank_is_a_projection_and_iterations_approach_the_singular_values(x64):
    matrices = np.random.default_rng(2).standard_normal((50, 14, 15))
    tail = np.square(np.linalg.svd(matrices, compute_uv=False)[:, 3:]).sum(1)
    one, many = (each(LowRank(3, iterations), matrices)[0] for iterations in (1, 60))
    for sent in (one, many):
        error, size = errors(sent, matrices)
        np.testing.assert_allclose(error, size - np.square(sent).sum((1, 2)), rtol=1e-9)
        assert np.all(error >= tail - 1e-9) and np.all(error < size)
    assert errors(one, matrices)[0].mean() > 1.05 * tail.mean()
    np.testing.assert_allclose(errors(many, matrices)[0], tail, rtol=1e-3)


def test_factors_are_quantised_and_their_product_is_not():
    x = jnp.asarray(np.random.default_rng(3).standard_normal((30, 40)), jnp.float32)
    (whole, _), (sent, bits) = jax.jit(lambda x: (first(LowRank(2), x), first(LowRank(2, inner=Uniform(8)), x)))(x)
    assert np.linalg.matrix_rank(np.asarray(sent, np.float64), tol=1e-3) == 2
    assert 1e-4 < np.abs(sent - whole).max() < 0.05 and float(bits) == 8 * 2 * 70 + 2 * 32


# ---- chains -------------------------------------------------------------------------------------------------------


def test_a_chain_quantises_what_is_kept():
    sent, _ = each(Chain(TopK(0.2), Uniform(4)), VECTORS)
    kept, _ = each(TopK(0.2), VECTORS)
    assert np.all(sent[kept == 0] == 0) and np.all(np.count_nonzero(sent, axis=1) >= 1)
    np.testing.assert_allclose(sent, each(Uniform(4), kept)[0], rtol=1e-6)
    error, size = errors(sent, VECTORS)
    assert np.all(error <= (1 - 1 / 20) * size + 1e-5)
