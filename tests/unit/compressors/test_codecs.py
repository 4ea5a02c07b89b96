"""What holds for each codec: shapes, sizes, zeros, what is no number, and the bound of its error on hard vectors."""

import math

import jax
import numpy as np
import pytest

import jdl
from jdl.compressors import (
    QSGD,
    BlockWise,
    Chain,
    EightBitFloat,
    Natural,
    Quantile,
    RandK,
    Sign,
    SignificantDigits,
    TernGrad,
    Threshold,
    TopK,
)

KEY = jax.random.key(0)
D = 20
RANDOM = np.random.default_rng(0).standard_normal((300, D)).astype(np.float32)
SPIKE = np.eye(1, D, 3, dtype=np.float32) * 5
HARD = np.concatenate(
    [
        RANDOM,
        SPIKE,
        -SPIKE,
        np.full((1, D), 3, np.float32),
        np.full((1, D), -0.1, np.float32),
        1e-3 * RANDOM[:1] + 1e3 * SPIKE,
        np.float32(1e-30) * RANDOM[:2],
        np.float32(1e35) * RANDOM[:2],
        np.float32(2.0) ** np.arange(-10, D - 10, dtype=np.float32)[None],
        np.zeros((1, D), np.float32),
    ]
)
DRAWS = 1500
LEAVES = {"kernel": (12, 10), "bias": (D,), "step": ()}
OTHERS = {"ids": np.arange(12, dtype=np.int32), "used": np.asarray([True, False]), "empty": np.zeros(0, np.float32)}
OTHER_BITS = 32 * 12 + 8 * 2
SIZE = 120 + 20 + 1

# The size of a message of three arrays of 120, 20 and 1 numbers; where it depends on the numbers, a serialiser says it.
BITS = {
    "threshold": (Threshold(0.5), None),
    "threshold, rms": (Threshold(1.0, "rms", "elias"), None),
    "top_k, elias": (TopK(0.1, "elias"), None),
    "rand_k, log2": (RandK(0.1, index="log2"), 12 * (32 + 7) + 2 * (32 + 5) + 32),
    "qsgd": (QSGD(7), 4 * SIZE + 3 * 32),
    "qsgd, contractive": (QSGD(1, contractive=True), 2 * SIZE + 3 * 32),
    "natural": (Natural(), 9 * SIZE),
    "nearest power": (Natural(stochastic=False), 9 * SIZE),
    "sign": (Sign(), SIZE + 3 * 32),
    "tern_grad": (TernGrad(), 2 * SIZE + 3 * 32),
    "block_wise": (BlockWise(8, block=50), 8 * SIZE + 32 * (3 + 1 + 1)),
    "int4, block_wise": (BlockWise(4, block=7, stochastic=True), 4 * SIZE + 32 * (18 + 3 + 1)),
    "e4m3": (EightBitFloat(), 8 * SIZE + 3 * 32),
    "e5m2": (EightBitFloat("e5m2"), 8 * SIZE + 3 * 32),
    "digits": (SignificantDigits(3), (1 + 10 + 7) * SIZE),
    "quantile": (Quantile(3), 3 * SIZE + 32 * (8 + 8 + 1)),
    "top_k, sign": (Chain(TopK(0.1), Sign()), 12 * (1 + 7) + 2 * (1 + 5) + 1 + 3 * 32),
    "rand_k, qsgd": (Chain(RandK(0.5), QSGD(7)), 4 * (60 + 10 + 1) + 3 * 32),
    "threshold, natural": (Chain(Threshold(0.5), Natural()), None),
    "top_k, quantile": (Chain(TopK(0.5), Quantile(2)), 60 * (2 + 7) + 10 * (2 + 5) + 2 + 32 * (4 + 4 + 1)),
    "top_k, block_wise": (Chain(TopK(0.1), BlockWise(8, 50)), 12 * (8 + 7) + 2 * (8 + 5) + 8 + 32 * 5),
}


def first(codec, message, key=KEY):
    sent, _, bits = codec(codec.init(message), message, key)
    return sent, bits


@pytest.fixture(scope="module")
def seen():
    """Of each codec, in one program: numbers, zeros, what is no number; hard vectors; many draws of two."""
    rng, n = np.random.default_rng(1), 3 + len(HARD) + 2 * DRAWS
    rows = {name: rng.standard_normal((n, *shape)).astype(np.float32) for name, shape in LEAVES.items()}
    rows["bias"][3:] = np.concatenate([HARD, np.repeat(RANDOM[:2], DRAWS, axis=0)])
    for x in rows.values():
        x[1:3] = np.reshape(np.float32([0, math.nan]), (2,) + (1,) * (x.ndim - 1))
    rows |= {name: np.stack([x] * n) for name, x in OTHERS.items()}
    keys = jax.random.split(KEY, n)

    @jax.jit
    def program(rows):
        return {
            name: jax.vmap(lambda x, key, c=codec: first(c, x, key))(rows, keys) for name, (codec, _) in BITS.items()
        }

    return rows, jax.tree.map(np.asarray, program(rows))


@pytest.mark.parametrize("name", BITS)
def test_shapes_sizes_zeros_and_what_is_no_number(name, seen):
    rows, found = seen
    sent, bits = found[name]
    assert jax.tree.map(lambda x: (x.shape, x.dtype), sent) == jax.tree.map(lambda x: (x.shape, x.dtype), rows)
    assert bits.dtype == np.float32 and bits.shape == (len(rows["step"]),)
    if BITS[name][1] is not None:
        np.testing.assert_array_equal(bits, BITS[name][1] + OTHER_BITS)
    for kind in OTHERS:
        np.testing.assert_array_equal(sent[kind], rows[kind])
    for kind in LEAVES:
        assert np.any(sent[kind][0] != 0) and np.all(sent[kind][1] == 0) and np.any(np.isnan(sent[kind][2])), kind
        assert np.all(np.isfinite(sent[kind][3:])), kind


# ||C(x) - x||^2 over ||x||^2: at most this for every vector of 20 entries.
CONTRACTION = {
    "threshold": 1 - 1 / D,
    "threshold, rms": 1 - 1 / D,
    "top_k, elias": 1 - 2 / D,
    "nearest power": 1 / 9,
    "sign": 1 - 1 / D,  # ||x||_1 >= ||x||
    "block_wise": 1 - 1 / D,
    "e4m3": 2.0**-8 + 1e-6,
    "e5m2": 2.0**-6 + 1e-6,
    "digits": 25 * 10.0**-6 * 1.001,
    "quantile": 1.0,  # of the squared distance to the mean
    "top_k, sign": 1 - 1 / D,
    "top_k, block_wise": 1 - 1 / D,
    "top_k, quantile": 1.0,
}
# Unbiased, with a variance of at most this times ||x||^2.
VARIANCE = {
    "qsgd": min(D / 49, math.sqrt(D) / 7),
    "natural": 1 / 8,
    "tern_grad": None,
    "int4, block_wise": None,
}


@pytest.mark.parametrize("name", CONTRACTION)
def test_the_error_is_bounded_for_every_vector(name, seen):
    sent = seen[1][name][0]["bias"][3 : 3 + len(HARD)].astype(np.float64)
    x = HARD.astype(np.float64)
    about = x.mean(1, keepdims=True) if name == "quantile" else 0
    error, size = np.square(sent - x).sum(1), np.square(x - about).sum(1)
    assert np.all(error <= CONTRACTION[name] * size * (1 + 1e-6) + 1e-12 * np.square(x).sum(1))


@pytest.mark.parametrize("name", VARIANCE)
def test_unbiased_with_a_bounded_variance(name, seen):
    draws = seen[1][name][0]["bias"][3 + len(HARD) :].reshape(2, DRAWS, D).astype(np.float64)
    x = RANDOM[:2].astype(np.float64)
    assert np.all(np.abs(draws.mean(1) - x) <= 5 * draws.std(1) / math.sqrt(DRAWS) + 1e-6)
    variance, size = np.square(draws - x[:, None]).sum(2).mean(1), np.square(x).sum(1)
    if name == "tern_grad":  # exactly
        np.testing.assert_allclose(
            variance, (np.abs(x) * (np.abs(x).max(1, keepdims=True) - np.abs(x))).sum(1), rtol=0.05
        )
    elif name != "int4, block_wise":
        assert np.all(variance <= VARIANCE[name] * size)
        assert np.all(variance > VARIANCE[name] * size / 8)  # it is random


def test_qsgd_divided_by_one_plus_omega_contracts_in_the_mean(seen):
    draws = seen[1]["qsgd, contractive"][0]["bias"][3 + len(HARD) :].reshape(2, DRAWS, D).astype(np.float64)
    x, omega = RANDOM[:2].astype(np.float64), math.sqrt(D)
    assert np.all(np.abs(draws.mean(1) * (1 + omega) - x) <= 5 * (1 + omega) * draws.std(1) / math.sqrt(DRAWS))
    error, size = np.square(draws - x[:, None]).sum(2).mean(1), np.square(x).sum(1)
    assert np.all(error <= (1 - 1 / (1 + omega)) * size)


def test_the_error_of_signs_is_known_exactly(seen):
    sent = seen[1]["sign"][0]["bias"][3 : 3 + len(HARD)].astype(np.float64)
    x = HARD.astype(np.float64)
    error, size = np.square(sent - x).sum(1), np.square(x).sum(1)
    size[-1] = 1  # the zeros
    np.testing.assert_allclose(error / size, (np.square(x).sum(1) - np.square(np.abs(x).sum(1)) / D) / size, atol=1e-6)


def test_a_code_or_a_format_that_does_not_exist_is_refused():
    for wrong in (
        lambda: TopK(index="seed"),
        lambda: Threshold(index="huffman"),
        lambda: Threshold(relative="min"),
        lambda: RandK(index="x"),
        lambda: EightBitFloat("e3m4"),
    ):
        with pytest.raises(jdl.checks.InputError, match="which does not exist"):
            wrong()
    with pytest.raises(
        jdl.checks.InputError, match="got Sign in a chain, need a sparsifier, which has the method `choo"
    ):
        Chain(Sign(), TopK()).init({})
