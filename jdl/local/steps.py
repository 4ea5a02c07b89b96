"""Local work of one node: optimizers without their rate, and H local steps."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jdl import checks, tree
from jdl.types import Node, PyTree

__all__ = [
    "OPTIMIZERS",
    "SUMMED",
    "Decay",
    "Gradient",
    "Optimizer",
    "client_weight",
    "local_steps",
    "rate",
    "steps_done",
    "transform",
]

# A rate is an array leaf, so optax transforms come without theirs. Built once each: two calls to optax give two
# closures, and two closures are two programs.
OPTIMIZERS: dict[str, Callable[[], optax.GradientTransformation]] = {
    "sgd": optax.identity,
    "momentum": lambda: optax.trace(decay=0.9),
    "nesterov": lambda: optax.trace(decay=0.9, nesterov=True),
    "adam": lambda: _lenient(optax.scale_by_adam()),
    # Decoupled weight decay: the rate multiplies it too, as in optax.adamw. 0.1 is DiLoCo's.
    "adamw": lambda: _lenient(optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(0.1))),
}

Gradient = Callable[[PyTree, jax.Array], PyTree]

Optimizer = str | optax.GradientTransformation

# From the round, i32[], to a factor on the rate.
Decay = Callable[[jax.Array], jax.Array]


def _lenient(transform: optax.GradientTransformation) -> optax.GradientTransformation:
    """The same for callers with strict types: optax's Adam raises a float to a whole number."""

    def update(*args):
        with jax.numpy_dtype_promotion("standard"):
            return transform.update(*args)

    return optax.GradientTransformation(transform.init, update)


@functools.cache
def transform(optimizer: Optimizer) -> optax.GradientTransformation:
    """The optax transform of a name in `OPTIMIZERS`, the same object each time; a transform is passed through.

    >>> transform("adam") is transform("adam")
    True
    """
    if isinstance(optimizer, str):
        return OPTIMIZERS[checks.known("optimizer", optimizer, OPTIMIZERS)]()
    return optimizer


def rate(lr: jax.Array, decay: Decay | None, t: jax.Array) -> jax.Array:
    """`lr decay(t)`, or `lr` where there is no decay."""
    return lr if decay is None else lr * decay(t)


def local_steps(
    params: PyTree,
    opt_state: PyTree,
    node: Node,
    lr: jax.Array,
    steps: int,
    optimizer: Optimizer = "sgd",
    gradient: Gradient | None = None,
) -> tuple[PyTree, PyTree]:
    """`x <- x - lr T(g_k(x))` for minibatches k = 0 .. steps - 1, T the optax transform; fewer where `node.steps` is.

    Args:
      params: the node's model x.
      opt_state: the state of T.
      lr: rate.
      steps: H, static.
      optimizer: T or its name.
      gradient: (x, k) -> what takes the place of the gradient on minibatch k, for methods that correct it.

    Returns:
      The model after the steps, and the state of T.
    """
    update = transform(optimizer).update
    gradient = gradient or (lambda x, k: node.grad(x, k)[0])

    def step(carry, k):
        x, opt = carry
        direction, new_opt = update(gradient(x, k), opt, x)
        new = tree.axpy(-lr, direction, x), new_opt
        if node.steps is None:
            return new, None
        return jax.tree.map(lambda new, old: jnp.where(k < node.steps, new, old), new, carry), None

    if steps == 1:
        return step((params, opt_state), jnp.int32(0))[0]
    return jax.lax.scan(step, (params, opt_state), jnp.arange(steps, dtype=jnp.int32))[0]


def steps_done(node: Node, steps: int) -> jax.Array:
    """How many of `steps` local steps `local_steps` takes this round: i32[], fewer where the node's budget is."""
    return jnp.int32(steps) if node.steps is None else jnp.minimum(jnp.int32(steps), node.steps)


def client_weight(node: Node, by_examples: bool) -> jax.Array:
    """How much a client counts in a server's mean: its number of examples, or one, f[]."""
    examples = node.num_examples.astype(jnp.result_type(float))
    return examples if by_examples else jnp.ones_like(examples)


def _summed(step: PyTree, total: PyTree, params: PyTree = None) -> tuple[PyTree, PyTree]:
    return step, tree.add(total, step)


# Plain steps that add up their directions in the state: (x - y) / lr without a division, right for lr = 0 too.
SUMMED = optax.GradientTransformation(tree.zeros_like, _summed)
