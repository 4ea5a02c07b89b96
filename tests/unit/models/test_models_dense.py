import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdl.models import MLP, Linear


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
    params = module.init(jax.random.key(0), jnp.zeros((1, 64)))
    assert size(params) == sum((a + 1) * b for a, b in itertools.pairwise(widths))
    assert set(params) == {"params"}  # no batch statistics
    x = np.random.default_rng(0).standard_normal((5, 64)).astype(np.float32)
    layers = [params["params"][f"Dense_{i}"] for i in range(len(widths) - 1)]
    h = x
    for i, layer in enumerate(layers):
        h = h @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])[None, :]
        h = np.maximum(h, 0) if i + 1 < len(layers) else h
    np.testing.assert_allclose(module.apply(params, jnp.asarray(x)), h, rtol=1e-4, atol=1e-5)


def test_the_network_of_the_digits_has_2410_parameters():
    assert size(MLP(hidden=(32,), classes=10).init(jax.random.key(0), jnp.zeros((1, 64)))) == 2410


@pytest.mark.parametrize("module", [Linear(classes=4), MLP(hidden=(8,), classes=4)])
def test_vmapped_equals_looped(module):
    x = jax.random.normal(jax.random.key(1), (3, 5, 6))
    keys = jax.random.split(jax.random.key(0), 3)
    params = jax.vmap(lambda key: module.init(key, x[0]))(keys)
    together = jax.jit(jax.vmap(module.apply))(params, x)
    for i in range(3):
        alone = module.apply(jax.tree.map(lambda leaf, i=i: leaf[i], params), x[i])
        np.testing.assert_allclose(together[i], alone, rtol=1e-5, atol=1e-6)


def test_modules_are_values():
    assert MLP((32,), 10) == MLP() and hash(MLP((32,), 10)) == hash(MLP())
    assert MLP((16,)) != MLP((32,)) and Linear(3) != Linear(4)


def test_parameters_take_the_dtype_of_the_features(x64):
    params = MLP(hidden=(4,), classes=2).init(jax.random.key(0), jnp.zeros((1, 3), jnp.float64))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float64")}
    params = Linear(classes=2).init(jax.random.key(0), jnp.zeros((1, 3), jnp.float32))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
