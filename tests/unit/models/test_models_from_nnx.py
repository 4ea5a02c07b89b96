"""Modules of flax.nnx as functions of their variables: the values of the module itself, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from module_cases import NormalisedNNX, Plain, X, drawn

from jdl.checks import InputError
from jdl.models import FromNNX


def test_an_nnx_module_is_the_function_that_it_is():
    variables = FromNNX(Plain).init(jax.random.key(3), X[:1])
    assert set(variables) == {"params", "frozen"} and set(variables["params"]["layers"]) == {str(i) for i in range(12)}
    outputs = jax.jit(FromNNX(Plain).apply)(variables, X)
    np.testing.assert_allclose(outputs, Plain(nnx.Rngs(jax.random.key(3)))(X), rtol=1e-5, atol=1e-6)
    moved = {**variables, "frozen": {"shift": jnp.ones(4)}}
    difference = FromNNX(Plain).apply(moved, X) - outputs
    np.testing.assert_allclose(difference, np.broadcast_to(1 - np.arange(4.0), X.shape), atol=1e-5)


def test_nnx_nodes_share_what_is_frozen():
    model, variables = FromNNX(Plain), drawn(FromNNX(Plain))
    params, frozen = drawn(model, 3)["params"], {"frozen": variables["frozen"]}
    loss = lambda params, x: jnp.sum(jnp.sin(model.apply({"params": params, **frozen}, x)))
    x = np.stack([X, X + 1, X * X])
    together, grad = jax.jit(jax.vmap(jax.grad(loss)))(params, x), jax.jit(jax.grad(loss))
    for i in range(3):
        alone = grad(jax.tree.map(lambda leaf, i=i: leaf[i], params), x[i])
        for one, other in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(one[i], other, rtol=1e-4, atol=1e-5)


def test_with_its_statistics_an_nnx_module_evaluates_by_them():
    variables = drawn(FromNNX(NormalisedNNX))
    statistics = {"centre": {"mean": jnp.full(5, 2.0), "var": jnp.full(5, 4.0)}}
    named = variables["params"]
    h = X @ named["layers"]["0"]["kernel"] + named["layers"]["0"]["bias"]
    h = (h - 2) / np.sqrt(4 + 1e-5) * named["centre"]["scale"] + named["centre"]["bias"]
    expected = np.maximum(h, 0) @ named["layers"]["1"]["kernel"] + named["layers"]["1"]["bias"]
    outputs = FromNNX(NormalisedNNX).apply({**variables, "batch_stats": statistics}, X)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def dropping(rngs):
    return nnx.Sequential(nnx.Linear(4, 3, rngs=rngs), nnx.Dropout(0.5, rngs=rngs))


class Counting(nnx.Module):
    def __init__(self, rngs):
        self.weight, self.calls = nnx.Param(jnp.ones(4)), nnx.Variable(jnp.zeros(()))

    def __call__(self, x):
        self.calls[...] += 1.0
        return x * self.weight[None]


def test_dropout_is_refused_or_turned_off_by_choice():
    with pytest.raises(InputError, match=r"draws random numbers \(layers/1/rngs/count"):
        FromNNX(dropping).init(jax.random.key(0), X[:1])
    model = FromNNX(dropping, deterministic=True)
    variables = model.init(jax.random.key(0), X[:1])
    dense = variables["params"]["layers"]["0"]
    assert set(variables) == {"params"}
    expected = X @ dense["kernel"] + dense["bias"][None]
    np.testing.assert_allclose(jax.jit(model.apply)(variables, X), expected, rtol=1e-5, atol=1e-6)


def test_a_module_that_remembers_its_calls_is_refused():
    with pytest.raises(InputError, match="got an nnx module whose call changes calls:"):
        FromNNX(Counting).init(jax.random.key(0), X[:1])
