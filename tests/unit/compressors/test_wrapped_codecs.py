"""Codecs made of others, and those of whole messages: transforms, rotations, sketches, clusters and fragments."""

import dataclasses
import functools
import heapq
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl.compressors import (
    CountSketch,
    ErrorFeedback,
    FedZip,
    Flattened,
    Fragment,
    HalfPrecision,
    Identity,
    InTransform,
    KMeans,
    Normalised,
    RandomLowRank,
    Rotated,
    SparseTernary,
    TopK,
    Uniform,
    transforms,
)
from jdl.compressors.k_means import huffman_bits

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
LEAVES = {"kernel": (12, 10), "bias": (20,), "step": ()}
OTHERS = {"ids": np.arange(12, dtype=np.int32), "empty": np.zeros((0, 3), np.float32)}
OTHER_BITS = 32 * 12
ROWS = 40  # numbers, of which the second are zeros and the third no numbers

# A wavelet transform fills 120 and 20 numbers up to multiples of 2^levels, and a rotation to powers of two.
CODECS = {
    "haar": (InTransform(Uniform(4), "haar", 4), 4 * (128 + 32 + 1) + 3 * 32),
    "sym2": (InTransform(TopK(0.1), "sym2", 2), 12 * (32 + 7) + 2 * (32 + 5) + 32),
    "fourier": (InTransform(TopK(0.1), "fourier"), 12 * (32 + 7) + 2 * (32 + 5) + 32),
    "cosine": (InTransform(TopK(0.1), "cosine"), 12 * (32 + 7) + 2 * (32 + 5) + 32),
    "rotated": (Rotated(Uniform(8)), 8 * (128 + 32 + 1) + 3 * 32),
    "error feedback, rotated": (ErrorFeedback(Rotated(TopK(0.1))), 13 * (32 + 7) + 3 * (32 + 5) + 32),
    "normalised": (Normalised(), 16 * 141 + 2 * 32 * (12 + 1 + 1)),
    "flattened": (Flattened(TopK(0.1)), 14 * (32 + 8)),
    "random low rank": (RandomLowRank(3), 32 * (3 * 12 + 20 + 1)),
    "fragment": (Fragment(3), 32 * 47),
    "fragment, own": (Fragment(3, common=False), 32 * 47),
    "count sketch": (CountSketch(3, 7, 0.1), 32 * (21 + 20 + 1)),
    "sparse ternary": (SparseTernary(0.1), 12 * (1 + 7) + 2 * (1 + 5) + 1 + 3 * 32),
    "fed zip": (FedZip(0.2, 3, 5), None),
    "k-means": (KMeans(20), None),
}


def first(codec, message, key=KEY):
    sent, _, bits = codec(codec.init(message), message, key)
    return sent, bits


@pytest.fixture(scope="module")
def seen():
    rows = {name: RNG.standard_normal((ROWS, *shape)).astype(np.float32) for name, shape in LEAVES.items()}
    for x in rows.values():
        x[1], x[2] = 0, np.nan
    rows |= {name: np.stack([x] * ROWS) for name, x in OTHERS.items()}
    keys = jax.random.split(KEY, ROWS)

    @jax.jit
    def program(rows):
        return {
            name: jax.vmap(lambda x, key, c=codec: first(c, x, key))(rows, keys) for name, (codec, _) in CODECS.items()
        }

    return rows, jax.tree.map(np.asarray, program(rows))


@pytest.mark.parametrize("name", CODECS)
def test_shapes_sizes_zeros_and_what_is_no_number(name, seen):
    rows, (sent, bits) = seen[0], seen[1][name]
    assert jax.tree.map(lambda x: (x.shape, x.dtype), sent) == jax.tree.map(lambda x: (x.shape, x.dtype), rows)
    assert bits.dtype == np.float32
    if CODECS[name][1] is not None:
        np.testing.assert_array_equal(bits, CODECS[name][1] + OTHER_BITS)
    for kind in OTHERS:
        np.testing.assert_array_equal(sent[kind], rows[kind])
    assert all(np.all(sent[kind][1] == 0) and np.isfinite(sent[kind][3:]).all() for kind in LEAVES)
    leaves = [kind for kind in LEAVES if "fragment" not in name and name != "flattened"]
    assert all(np.any(np.isnan(sent[kind][2])) and np.any(sent[kind][0] != 0) for kind in leaves)
    assert any(np.any(np.isnan(sent[kind][2])) for kind in LEAVES)


def error(sent, rows, kind):
    x, y = (some[kind][3:].reshape(ROWS - 3, -1).astype(np.float64) for some in (rows, sent))
    return np.square(y - x).sum(1) / np.square(x).sum(1)


def test_bounds_of_what_is_inside_hold_in_another_basis(seen):
    rows, found = seen
    for name in ("sym2", "fourier", "cosine"):
        assert np.all(error(found[name][0], rows, "kernel") <= 1 - 12 / 120 + 1e-5), name
    assert np.all(error(found["haar"][0], rows, "kernel") < 0.05)
    assert np.all(error(found["rotated"][0], rows, "kernel") < 2e-3)
    assert np.all(error(found["error feedback, rotated"][0], rows, "kernel") <= 1 - 13 / 128 + 1e-5)
    assert np.all(error(found["normalised"][0], rows, "kernel") < 2.0**-20)


def test_random_factors_lose_one_minus_rank_over_columns_in_the_mean(seen):
    lost = error(seen[1]["random low rank"][0], seen[0], "kernel")
    assert np.all(lost < 1) and abs(lost.mean() - 0.7) < 0.05


def test_the_largest_of_all_entries_together(seen):
    rows, (sent, _) = seen[0], seen[1]["flattened"]
    together = lambda tree: np.concatenate([tree[kind][3].reshape(-1) for kind in sorted(LEAVES)])
    x, y = together(rows), together(sent)
    kept = np.sort(np.argsort(-np.abs(x))[:14])
    np.testing.assert_array_equal(np.flatnonzero(y), kept)
    np.testing.assert_array_equal(y[kept], x[kept])


def test_sparse_ternary_is_the_mean_magnitude_of_the_largest(seen):
    rows, (sent, _) = seen[0], seen[1]["sparse ternary"]
    for x, y in zip(rows["bias"][3:], sent["bias"][3:], strict=True):
        kept = np.argsort(-np.abs(x))[:2]
        by_hand = np.zeros(20)
        by_hand[kept] = np.sign(x[kept]) * np.abs(x[kept]).mean()
        np.testing.assert_allclose(y, by_hand, rtol=1e-6)


# ---- bases --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def turned():
    """Vectors of several lengths, their coefficients, and the way back."""
    vectors = {d: RNG.standard_normal(d).astype(np.float32) for d in (1, 2, 3, 16, 37)}

    @jax.jit
    def program(vectors):
        found = {}
        for d, x in vectors.items():
            for name in transforms.TRANSFORMS:
                there, back = transforms.transform(name, x, 3)
                found[d, name] = there, back(there)
        return {str(key): value for key, value in found.items()}

    return vectors, program(vectors)


def test_bases_are_orthonormal(turned):
    vectors, found = turned
    for d, x in vectors.items():
        for name in transforms.TRANSFORMS:
            there, back = found[str((d, name))]
            assert there.ndim == 1 and there.size >= d
            np.testing.assert_allclose(back, x, rtol=0, atol=3e-6, err_msg=f"{d} {name}")
            np.testing.assert_allclose(np.square(there).sum(), np.square(x).sum(), rtol=1e-5, err_msg=f"{d} {name}")


def test_frequencies_are_those_of_numpy(turned):
    vectors, found = turned
    for d, x in vectors.items():
        waves = np.fft.rfft(x, norm="ortho")
        ours = np.asarray(found[str((d, "fourier"))][0])
        size = d // 2 + 1
        assert np.allclose(ours[0], waves[0].real, atol=1e-5)
        for k in range(1, (d + 1) // 2):
            both = math.sqrt(2) * waves[k]
            np.testing.assert_allclose([ours[k], ours[size + k - 1]], [both.real, both.imag], atol=1e-5)


def test_wavelets_by_their_matrix():
    """Daubechies' conditions: orthonormal rows, and no details of a straight line but where it wraps around."""
    rows = jax.jit(jax.vmap(lambda x: transforms.wavelets(x, "sym2", 1)))(np.eye(8, dtype=np.float32))
    matrix = np.asarray(rows).T
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(8), atol=1e-6)
    assert np.all(np.count_nonzero(np.abs(matrix) > 1e-6, axis=1) == 4)
    np.testing.assert_allclose((matrix @ np.arange(8))[5:7], 0, atol=1e-5)
    taps = np.sort(matrix[1])[[-1, -2, -3, 0]]
    np.testing.assert_allclose(
        taps * 4 * math.sqrt(2), math.sqrt(3) * np.array([1, 1, -1, -1]) + [3, 1, 3, 1], rtol=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["haar", "sym2"])
def test_wavelets_are_those_of_pywavelets(name):
    pywt = pytest.importorskip("pywt")
    x = RNG.standard_normal(64).astype(np.float32)
    theirs = np.concatenate(pywt.wavedec(x, name, mode="periodization", level=3))
    np.testing.assert_allclose(transforms.wavelets(jnp.asarray(x), name, 3), theirs, rtol=0, atol=1e-5)


def test_hadamard_is_the_matrix_and_its_own_inverse():
    import scipy.linalg

    x = RNG.standard_normal(256).astype(np.float32)
    ours = jax.jit(transforms.hadamard)(x)
    np.testing.assert_allclose(ours, scipy.linalg.hadamard(256) @ x.astype(np.float64) / 16, atol=1e-5)
    np.testing.assert_allclose(transforms.hadamard(ours), x, atol=1e-5)


def test_a_rotation_alone_changes_nothing_and_makes_entries_equally_large():
    spike = np.zeros(1000, np.float32)
    spike[7] = 3
    sent, bits = jax.jit(lambda x: first(Rotated(Identity()), x))(spike)
    np.testing.assert_allclose(sent, spike, atol=1e-5)
    assert float(bits) == 32 * 1024
    # A spike becomes 1,024 numbers of one size, of which one bit of sign would be enough.
    sent, _ = jax.jit(lambda x: first(Rotated(Uniform(2)), x))(spike)
    np.testing.assert_allclose(sent, spike, atol=1e-5)


# ---- clusters -----------------------------------------------------------------------------------------------------


def huffman_of_our_own(counts):
    heap = [float(count) for count in counts if count]
    heapq.heapify(heap)
    bits = 0.0
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        bits += both
        heapq.heappush(heap, both)
    return bits


def test_huffman_sizes_lie_between_the_entropy_and_a_bit_more():
    counts = RNG.integers(0, 50, (200, 7)).astype(np.float32) * (RNG.random((200, 7)) < 0.7)
    counts[0], counts[1] = 0, np.eye(7)[2] * 9
    sizes = np.asarray(jax.jit(jax.vmap(huffman_bits))(counts))
    for row, size in zip(counts, sizes, strict=True):
        assert size == huffman_of_our_own(row)
        share = row[row > 0] / row.sum() if row.sum() else np.ones(1)
        entropy = -(share * np.log2(share)).sum()
        assert entropy * row.sum() - 1e-3 <= size <= (entropy + 1) * row.sum() + 1e-3


def test_clusters_are_those_of_lloyd_and_the_size_is_that_of_the_code(seen):
    """By hand in float64, from the same start."""
    rows, (sent, bits) = seen[0], seen[1]["fed zip"]
    for row in (3, 4, 5):
        size = OTHER_BITS
        for kind, k, first_ranks in (("kernel", 24, [4, 12, 20]), ("bias", 4, [0, 2, 3]), ("step", 1, [0])):
            x = rows[kind][row].reshape(-1).astype(np.float64)
            kept = np.sort(np.argsort(-np.abs(x))[:k])
            centres, clusters = np.sort(x[kept])[first_ranks], range(len(first_ranks))
            for _ in range(5):
                near = np.argmin(np.abs(x[kept][:, None] - centres), axis=1)
                centres = np.array([x[kept][near == c].mean() if np.any(near == c) else centres[c] for c in clusters])
            near = np.argmin(np.abs(x[kept][:, None] - centres), axis=1)
            by_hand = np.zeros(x.size)
            by_hand[kept] = centres[near]
            np.testing.assert_allclose(sent[kind][row].reshape(-1), by_hand, rtol=1e-5, atol=1e-6)
            size += sum(2 * (int(gap).bit_length() - 1) + 1 for gap in np.diff([-1, *kept]))
            size += huffman_of_our_own(np.bincount(near)) + len(centres) * (32 + (len(centres) - 1).bit_length())
        assert size == bits[row]


def test_k_means_of_as_many_clusters_as_entries_is_exact(seen):
    for kind in ("bias", "step"):
        np.testing.assert_allclose(seen[1]["k-means"][0][kind], seen[0][kind], rtol=1e-6)


# ---- sketches and fragments ---------------------------------------------------------------------------------------


def test_sketches_add_up_and_find_the_largest_entries():
    codec = CountSketch(5, 200, fraction=5 / 4000)
    a, b = (RNG.standard_normal(4000).astype(np.float32) * 0.01 for _ in range(2))
    large = RNG.choice(4000, 5, replace=False)
    a[large] = [5, -4, 3, 6, -7]

    @jax.jit
    def program(a, b):
        tables = codec._tables(4000, jnp.dtype("float32"))
        return codec.sketch(a), codec.sketch(b), codec.sketch(a + b), first(codec, a), tables

    of_a, of_b, of_both, (sent, bits), (columns, signs) = program(a, b)
    np.testing.assert_allclose(of_a + of_b, of_both, atol=1e-4)
    by_hand = np.stack([np.bincount(c, s * a, 200) for c, s in zip(columns, signs, strict=True)])
    np.testing.assert_allclose(of_a, by_hand, atol=1e-4)
    estimates = np.median(signs * np.take_along_axis(by_hand, np.asarray(columns), 1), axis=0)
    np.testing.assert_array_equal(np.flatnonzero(sent), np.sort(large))
    np.testing.assert_allclose(sent[large], estimates[large], atol=1e-4)
    np.testing.assert_allclose(sent[large], a[large], atol=0.2)
    assert float(bits) == 32 * 1000


def test_fragments_in_turn_are_the_message():
    message = {"a": jnp.arange(1.0, 8.0), "b": jnp.full((2, 3), 9.0), "c": jnp.float32(4)}

    @functools.partial(jax.jit, static_argnums=0)
    def one(codec, memory, key):
        return codec(memory, message, key)

    codec, memory, pieces, orders = Fragment(4), Fragment(4).init(message), [], set()
    for _ in range(3):
        total, order = jax.tree.map(jnp.zeros_like, message), []
        for turn in range(4):
            sent, memory, bits = one(codec, memory, jax.random.key(turn))
            size = sum(int(np.count_nonzero(x)) for x in jax.tree.leaves(sent))
            assert float(bits) == 32 * size and size in (3, 4)
            order.append(tuple(np.flatnonzero(np.concatenate([np.ravel(x) for x in jax.tree.leaves(sent)]))))
            total = jax.tree.map(jnp.add, total, sent)
        jax.tree.map(np.testing.assert_array_equal, total, message)
        orders.add(tuple(order))
        pieces.append(sorted(order))
    assert pieces[0] == pieces[1] == pieces[2] and len(orders) > 1
    jax.tree.map(np.testing.assert_array_equal, first(Fragment(1), message)[0], message)


def test_half_precision_of_normalised_rows_has_no_scale():
    x = (RNG.standard_normal((4, 50)) + 3).astype(np.float32) * np.float32([[1e-9], [1], [1e9], [1e-30]])
    sent, _ = jax.jit(lambda x: first(Normalised(HalfPrecision("float16")), x))(x)
    np.testing.assert_allclose(sent / np.abs(x).max(1, keepdims=True), x / np.abs(x).max(1, keepdims=True), atol=1e-3)


@pytest.mark.slow
def test_other_widths_keep_their_type(x64):
    """Every codec that can be made without arguments, in one program for each width."""
    codecs = {name: getattr(jdl.compressors, name) for name in jdl.compressors.__all__}
    made = {name: codec() for name, codec in codecs.items() if dataclasses.is_dataclass(codec)}
    x = RNG.standard_normal((12, 10))
    for dtype in ("float16", "bfloat16", "float64"):
        message = {"x": jnp.asarray(x, dtype), "scalar": jnp.asarray(0.5, dtype)}
        program = jax.jit(lambda message: {name: first(codec, message) for name, codec in made.items()})
        for name, (sent, bits) in program(message).items():
            assert sent["x"].dtype == dtype and sent["scalar"].dtype == dtype and bits.dtype == jnp.float32, name
            y, given = (np.asarray(some, np.float64) for some in (sent["x"], message["x"]))
            assert np.isfinite(y).all() and np.square(y - given).sum() <= 3 * np.square(given).sum(), (name, dtype)
