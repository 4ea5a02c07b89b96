"""Layers of LSTM and GRU: values against flax's cells."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jdl.models.recurrent import GRU, LSTM


def shapes(module, *shape, dtype=jnp.int32):
    return jax.eval_shape(module.init, jax.random.key(0), jax.ShapeDtypeStruct(shape, dtype))


def drawn(tree, *lead, dtype=np.float32):
    """Values by NumPy in the shapes of `tree`, with leading axes."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: 0.5 * rng.standard_normal(lead + leaf.shape).astype(dtype), tree)


def cell_of_flax(module, params):
    """flax's cell with our parameters: its kernels are the columns of ours, gate by gate."""
    if isinstance(module, LSTM):
        cell, names, biased, bias = nn.OptimizedLSTMCell(module.features), "ifgo", "h", params["bias"]
    else:
        cell, names, biased, bias = nn.GRUCell(module.features), "rzn", "i", params["bias"]
    theirs = {}
    for i, name in enumerate(names):
        columns = slice(i * module.features, (i + 1) * module.features)
        theirs[f"i{name}"] = {"kernel": params["input"][:, columns]}
        theirs[f"h{name}"] = {"kernel": params["hidden"][:, columns]}
        theirs[f"{biased}{name}"]["bias"] = bias[columns]
    if isinstance(module, GRU):
        theirs["hn"]["bias"] = params["bias_n"]
    return cell, {"params": theirs}


@pytest.mark.parametrize("module", [LSTM(4), GRU(4)])
def test_a_layer_is_the_cell_of_flax_step_by_step(module):
    x = np.random.default_rng(1).standard_normal((6, 2, 3)).astype(np.float32)
    variables = drawn(shapes(module, 6, 2, 3, dtype=jnp.float32))
    cell, theirs = cell_of_flax(module, variables["params"])
    zeros, step = jnp.zeros((2, 4)), jax.jit(cell.apply)
    carry, expected = (zeros, zeros) if isinstance(module, LSTM) else zeros, []
    for one in x:
        carry, h = step(theirs, carry, one)
        expected.append(h)
    np.testing.assert_allclose(jax.jit(module.apply)(variables, x), np.stack(expected), rtol=1e-5, atol=1e-6)


def test_gates_forget_nothing_at_first():
    params = jax.jit(LSTM(3).init)(jax.random.key(0), jnp.zeros((2, 1, 2)))["params"]
    np.testing.assert_array_equal(params["bias"], [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(params["hidden"] @ params["hidden"].T, np.eye(3), atol=1e-5)  # rows are orthogonal
