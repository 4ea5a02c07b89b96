"""A small transformer, and what tests of it and of its adapters share."""

import jax
import jax.numpy as jnp
import numpy as np

from jdl.models import Transformer

SMALL = Transformer(vocab=11, width=8, layers=2, heads=2, max_length=6)
ONE = SMALL.clone(layers=1)  # where depth adds nothing but time to compile
TOKENS = np.random.default_rng(0).integers(0, 11, (4, 6)).astype(np.int32)
NEXT = np.roll(TOKENS, -1, axis=1)


def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def shapes(module, x=TOKENS[:1]):
    return jax.eval_shape(module.init, jax.random.key(0), x)


def drawn(module, *lead, scale=0.3, x=TOKENS[:1]):
    """Variables filled by NumPy, with leading axes: nothing is zero, and no flax initialiser is compiled."""
    rng = np.random.default_rng(1)
    fill = lambda leaf: (scale * rng.standard_normal(lead + leaf.shape)).astype(leaf.dtype)
    return jax.tree.map(fill, shapes(module, x))


def cross_entropy(logits, y):
    logits = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.sum(logits * jax.nn.one_hot(y, logits.shape[-1], dtype=logits.dtype), axis=-1))


def along(loss, params):
    """The slope of the loss along a random direction: by its gradient, and by a central difference."""
    rng = np.random.default_rng(2)
    direction = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape), params)
    program, step = jax.jit(jax.value_and_grad(loss)), 1e-5
    ahead, behind = (program(jax.tree.map(lambda p, d, s=s: p + s * d, params, direction))[0] for s in (step, -step))
    _, grads = program(params)
    products = jax.tree.map(lambda g, d: float(np.sum(g * d)), grads, direction)
    return sum(jax.tree.leaves(products)), (ahead - behind) / (2 * step)


def descended(loss, params, steps=200, lr=0.01):
    """The loss before and after some steps of Adam, without its corrections of the start."""

    def step(_, carry):
        params, m, v = carry
        g = jax.grad(loss)(params)
        assert jax.tree.structure(g) == jax.tree.structure(params)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.99 * v + 0.01 * g * g, v, g)
        return jax.tree.map(lambda p, m, v: p - lr * m / (jnp.sqrt(v) + 1e-6), params, m, v), m, v

    @jax.jit
    def run(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return loss(params), loss(jax.lax.fori_loop(0, steps, step, (params, zeros, zeros))[0])

    return run(params)
