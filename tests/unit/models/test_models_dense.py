import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdl.models import MLP, Linear


def shapes(module, dtype=jnp.float32):
    return jax.eval_shape(module.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 64), dtype))


def drawn(module, *lead):
    """Parameters filled by NumPy, with leading axes."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.standard_normal(lead + leaf.shape).astype(leaf.dtype), shapes(module))


def size(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("module", "widths"),
    [
        (Linear(classes=10), (64, 10)),
        (MLP(hidden=(32,), classes=10), (64, 32, 10)),
        (MLP(hidden=(16, 8), classes=3), (64, 16, 8, 3)),
    ],
)
def test_parameters_and_logits(module, widths):
    params = drawn(module)
    assert size(params) == sum((a + 1) * b for a, b in itertools.pairwise(widths))
    assert set(params) == {"params"}  # no batch statistics
    x = np.random.default_rng(1).standard_normal((5, 64)).astype(np.float32)
    layers = [params["params"][f"Dense_{i}"] for i in range(len(widths) - 1)]
    h = x
    for i, layer in enumerate(layers):
        h = h @ layer["kernel"] + layer["bias"][None, :]
        h = np.maximum(h, 0) if i + 1 < len(layers) else h
    np.testing.assert_allclose(jax.jit(module.apply)(params, x), h, rtol=1e-4, atol=1e-3)


def test_the_network_of_the_digits_has_2410_parameters():
    assert size(shapes(MLP(hidden=(32,), classes=10))) == 2410


@pytest.mark.parametrize("module", [Linear(classes=4), MLP(hidden=(8,), classes=4)])
def test_vmapped_equals_looped(module):
    x = np.random.default_rng(1).standard_normal((3, 5, 64)).astype(np.float32)
    params, apply = drawn(module, 3), jax.jit(module.apply)
    together = jax.jit(jax.vmap(module.apply))(params, x)
    for i in range(3):
        alone = apply(jax.tree.map(lambda leaf, i=i: leaf[i], params), x[i])
        np.testing.assert_allclose(together[i], alone, rtol=1e-4, atol=1e-3)


def test_modules_are_values():
    assert MLP((32,), 10) == MLP() and hash(MLP((32,), 10)) == hash(MLP())
    assert MLP((16,)) != MLP((32,)) and Linear(3) != Linear(4)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("module", [Linear(classes=2), MLP(hidden=(4,), classes=2)])
def test_parameters_take_the_dtype_of_the_features(x64, module, dtype):
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes(module, dtype))} == {jnp.dtype(dtype)}
