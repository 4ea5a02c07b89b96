"""What serialisers of our own put on the wire: as many bits as codecs say, and decoded to what codecs say."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from jdl.compressors import (
    QSGD,
    BlockWise,
    EightBitFloat,
    HalfPrecision,
    Natural,
    Normalised,
    Quantile,
    Sign,
    SparseTernary,
    Statistical,
    TernGrad,
)

KEY = jax.random.key(0)
D = 1000
X = np.random.default_rng(0).standard_normal(D).astype(np.float32)
CODECS = {
    "qsgd": QSGD(7),
    "sign": Sign(),
    "votes": Sign(scaled=False),
    "tern_grad": TernGrad(),
    "clipped": TernGrad(2.5),
    "sparse_ternary": SparseTernary(0.05, "elias"),
    "block_wise": BlockWise(4, block=64),
    "e4m3": EightBitFloat("e4m3"),
    "e5m2": EightBitFloat("e5m2"),
    "natural": Natural(),
}


@pytest.fixture(scope="module")
def seen():
    found = jax.jit(lambda x: {name: codec((), x, KEY)[::2] for name, codec in CODECS.items()})(X)
    return {name: (np.asarray(sent), float(bits)) for name, (sent, bits) in found.items()}


def pack(numbers, width):
    """Whole numbers of `width` bits each, as a text of bits."""
    return "".join(f"{int(number):0{width}b}" for number in numbers)


def unpack(bits, width):
    return np.array([int(bits[i : i + width], 2) for i in range(0, len(bits), width)])


def word(number):
    return f"{np.float32(number).view(np.uint32):032b}"


def number(bits):
    return np.uint32(int(bits, 2)).view(np.float32)


def test_levels_of_the_norm(seen):
    sent, size = seen["qsgd"]
    norm = np.linalg.norm(X.astype(np.float64))
    levels = np.round(sent / norm * 7)
    np.testing.assert_array_equal(np.abs(levels * norm / 7 - sent) < 1e-4, True)
    assert np.all((levels == 0) | (np.sign(levels) == np.sign(X)))
    assert np.all(np.abs(np.abs(levels) - np.abs(X) / norm * 7) < 1)  # one of the two levels around
    wire = word(norm) + pack(levels + 7, 4)
    assert len(wire) == size
    np.testing.assert_allclose((unpack(wire[32:], 4) - 7) * (number(wire[:32]) / 7), sent, rtol=1e-5)


def test_signs_and_their_scale(seen):
    wire = word(np.abs(X).mean()) + pack(X >= 0, 1)
    sent, size = seen["sign"]
    assert len(wire) == size
    np.testing.assert_allclose((2 * unpack(wire[32:], 1) - 1) * number(wire[:32]), sent, rtol=1e-5)
    votes, size = seen["votes"]
    assert len(wire[32:]) == size
    np.testing.assert_array_equal(2 * unpack(wire[32:], 1) - 1, votes)


@pytest.mark.parametrize("name", ["tern_grad", "clipped"])
def test_three_values(name, seen):
    sent, size = seen[name]
    clipped = np.clip(X, -2.5 * X.std(), 2.5 * X.std()) if name == "clipped" else X
    top = np.abs(clipped).max()
    wire = word(top) + pack(np.sign(sent) + 1, 2)
    assert len(wire) == size and set(np.sign(sent)) == {-1, 0, 1}
    np.testing.assert_allclose((unpack(wire[32:], 2) - 1) * number(wire[:32]), sent, rtol=1e-5)
    assert np.all((sent == 0) | (np.sign(sent) == np.sign(X)))


def test_sparse_signs_with_gaps(seen):
    sent, size = seen["sparse_ternary"]
    kept = np.sort(np.argsort(-np.abs(X))[:50])
    gaps = [f"{gap:b}" for gap in np.diff([-1, *kept])]
    wire = word(np.abs(X[kept]).mean()) + pack(X[kept] > 0, 1) + "".join("0" * (len(gap) - 1) + gap for gap in gaps)
    assert len(wire) == size
    by_hand = np.zeros(D)
    by_hand[kept] = (2 * unpack(wire[32:82], 1) - 1) * number(wire[:32])
    np.testing.assert_allclose(sent, by_hand, rtol=1e-5)


def test_blocks_with_scales(seen):
    sent, size = seen["block_wise"]
    blocks = np.array_split(X, range(64, D, 64))
    tops = [np.abs(block).max() for block in blocks]
    levels = np.concatenate([np.round(block / top * 7) for block, top in zip(blocks, tops, strict=True)])
    wire = "".join(map(word, tops)) + pack(levels + 7, 4)
    assert len(wire) == size and len(tops) == 16
    scales = np.repeat([number(wire[32 * i : 32 * i + 32]) for i in range(16)], 64)[:D]
    np.testing.assert_allclose((unpack(wire[32 * 16 :], 4) - 7) * (scales / 7), sent, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("name", "kind", "most"), [("e4m3", "float8_e4m3fn", 448), ("e5m2", "float8_e5m2", 57344)])
def test_eight_bit_floats_are_those_of_a_conversion(name, kind, most, seen):
    sent, size = seen[name]
    dtype, top = getattr(ml_dtypes, kind), np.abs(X).max()
    wire = word(top) + pack((X / top * most).astype(dtype).view(np.uint8), 8)
    assert len(wire) == size
    values = unpack(wire[32:], 8).astype(np.uint8).view(dtype).astype(np.float32)
    np.testing.assert_allclose(sent, values / most * number(wire[:32]), rtol=1e-6)


def test_small_numbers_are_those_of_a_conversion_too():
    """Down to where steps are equal, and to zero."""
    units = (448 * 2.0 ** -np.arange(0, 24, 0.37)).astype(np.float32)
    sent, _, _ = jax.jit(EightBitFloat())((), units, KEY)
    np.testing.assert_allclose(sent, units.astype(ml_dtypes.float8_e4m3fn).astype(np.float32), rtol=3e-7)
    assert sent[-1] == 0 and np.sum((0 < np.asarray(sent)) & (np.asarray(sent) < 2.0**-6)) > 3


def test_signs_and_exponents(seen):
    sent, size = seen["natural"]
    patterns = sent.view(np.uint32)
    assert np.all(patterns & (2**23 - 1) == 0) and 9 * D == size
    assert np.all((sent / X == 1) | ((sent / X > 0.5) & (sent / X < 2)))
    np.testing.assert_array_equal((patterns >> 23 << 23).view(np.float32), sent)


def hivemind(x):
    """Mean squared errors of what hivemind's tests compress, by the codecs that do the same."""
    codecs = {
        "float16": HalfPrecision("float16"),
        "scaled float16": Normalised(HalfPrecision("float16")),
        "uniform": Statistical(8),
        "quantile": Quantile(8),
        "block_wise": BlockWise(8),
    }

    @jax.jit
    def program(x):
        return {name: jnp.mean(jnp.square(codec((), x, KEY)[0] - x)) for name, codec in codecs.items()}

    errors = program(jnp.asarray(x))
    assert errors["float16"] < 5e-8 and errors["scaled float16"] < 5e-8
    assert errors["uniform"] < 8e-4 and errors["quantile"] < 8e-4 and errors["block_wise"] < 8e-4
    assert min(float(error) for error in errors.values()) > 0


def test_errors_of_hivemind_on_a_small_array():
    hivemind(np.random.default_rng(0).standard_normal((16, 16, 64)).astype(np.float32))


@pytest.mark.slow
def test_errors_of_hivemind():
    hivemind(np.random.default_rng(0).standard_normal((128, 128, 64)).astype(np.float32))
