"""The size of places against an encoder of our own, which writes the bits and reads them again."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdl.compressors import SignificantDigits, Threshold, TopK
from jdl.compressors.indices import place_bits
from jdl.compressors.top_k import largest


def gamma_code(number: int) -> str:
    """Elias' gamma code: as many zeros as the number has bits after the first, then its bits."""
    digits = f"{number:b}"
    return "0" * (len(digits) - 1) + digits


def written(places) -> str:
    """Distances from place to place, the first one from a place before the array."""
    return "".join(gamma_code(int(gap)) for gap in np.diff(np.concatenate([[-1], places])))


def read(bits: str) -> list[int]:
    places, at, last = [], 0, -1
    while at < len(bits):
        zeros = bits.index("1", at) - at
        last += int(bits[at + zeros : at + 2 * zeros + 1], 2)
        places.append(last)
        at += 2 * zeros + 1
    return places


@pytest.fixture(scope="module")
def masks():
    rng = np.random.default_rng(0)
    masks = [rng.random(1000) < share for share in (0.001, 0.01, 0.1, 0.5, 0.9)]
    masks += [np.zeros(1000, bool), np.ones(1000, bool), np.arange(1000) == 999, np.arange(1000) == 0]
    return np.stack(masks)


def test_elias_gamma_is_the_length_of_a_code_that_can_be_read(masks):
    sizes = np.asarray(jax.jit(jax.vmap(lambda mask: place_bits(mask.reshape(20, 50), "elias")))(masks))
    for mask, size in zip(masks, sizes, strict=True):
        code = written(np.flatnonzero(mask))
        assert len(code) == size
        assert read(code) == list(np.flatnonzero(mask))


def test_a_tenth_of_89834_places_takes_571_hundredths_of_a_bit_each():
    """As measured for a message of DecentralizePy."""
    rng, d = np.random.default_rng(1), 89_834
    k = round(d / 10)
    mask = np.zeros(d, bool)
    mask[rng.choice(d, k, replace=False)] = True
    by_name = jax.jit(lambda mask: {name: place_bits(mask, name) for name in ("elias", "entropy", "log2", "seed")})
    found = {name: float(size) / k for name, size in by_name(mask).items()}
    assert found["elias"] == pytest.approx(5.71, abs=0.03)
    assert found["elias"] * k == len(written(np.flatnonzero(mask)))
    assert found["log2"] == 17 and found["seed"] == 0
    assert found["entropy"] == pytest.approx(-math.log2(0.1) - 9 * math.log2(0.9), rel=1e-3)


def test_entropy_of_all_and_nothing_is_zero():
    for mask in (np.zeros(7, bool), np.ones(7, bool)):
        assert float(place_bits(jnp.asarray(mask), "entropy")) == 0


@pytest.mark.parametrize("codec", [TopK(0.1, "elias"), Threshold(1.0, "rms", "elias"), Threshold(0.4, "max", "elias")])
def test_a_sparse_message_on_the_wire(codec):
    """Its places, its numbers, and, where the receiver does not know it, how many they are; and the way back."""
    x = np.random.default_rng(2).standard_normal(300).astype(np.float32)
    sent, _, bits = jax.jit(codec)((), x, jax.random.key(0))
    if isinstance(codec, TopK):
        wanted = np.sort(np.argsort(-np.abs(x))[:30])
        head = ""
    else:
        scale = np.abs(x).max() if codec.relative == "max" else np.sqrt(np.mean(np.square(x)))
        wanted = np.flatnonzero(np.abs(x) >= codec.threshold * scale)
        head = f"{len(wanted):032b}"
    body = written(wanted)
    wire = head + body + "".join(f"{word:032b}" for word in x[wanted].view(np.uint32))
    assert len(wire) == float(bits)
    numbers = wire[len(head) + len(body) :]
    back = np.zeros(300, np.float32)
    words = [int(numbers[i : i + 32], 2) for i in range(0, len(numbers), 32)]
    back[read(body)] = np.array(words, np.uint32).view(np.float32)
    np.testing.assert_array_equal(sent, back)


def test_the_largest_are_exact_also_where_many_tie():
    """As a stable sort of magnitudes has them, for every number of them."""
    rng = np.random.default_rng(4)
    rows = [rng.integers(-3, 4, 37), rng.standard_normal(37), np.zeros(37), np.full(37, 2.5), rng.integers(0, 2, 37)]
    rows = np.stack([row.astype(np.float32) for row in rows])
    by_k = jax.jit(jax.vmap(jax.vmap(largest, (None, 0)), (0, None)))
    found = np.asarray(by_k(rows, np.arange(1, 38, dtype=np.int32)))
    for x, masks in zip(rows, found, strict=True):
        order = np.argsort(-np.abs(x), kind="stable")
        for k, mask in zip(range(1, 38), masks, strict=True):
            np.testing.assert_array_equal(np.flatnonzero(mask), np.sort(order[:k]))


def test_an_absolute_threshold_changes_no_entry_by_more():
    x = np.linspace(-1, 1, 41, dtype=np.float32)
    sent, _, bits = Threshold(0.5, "none")((), jnp.asarray(x), jax.random.key(0))
    np.testing.assert_array_equal(sent, np.where(np.abs(x) >= 0.5, x, 0))
    assert float(bits) == 32 + (32 + 6) * np.sum(np.abs(x) >= 0.5)


@pytest.mark.parametrize("digits", [1, 3, 4])
def test_significant_digits_are_those_that_python_writes(digits):
    rng = np.random.default_rng(3)
    x = (rng.standard_normal(200) * 10.0 ** rng.integers(-36, 36, 200)).astype(np.float32)
    sent, _, _ = jax.jit(SignificantDigits(digits))((), x, jax.random.key(0))
    wanted = np.array([float(f"{number:.{digits - 1}e}") for number in x.astype(np.float64)])
    np.testing.assert_allclose(sent, wanted, rtol=5e-7)
