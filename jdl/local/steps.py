"""Local work of one node: optimizers without a learning rate, and H local steps."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
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

# A learning rate is an array leaf, so optax transforms are used without one. Each is built once: two calls to optax
# give two closures, and two closures are two programs.
OPTIMIZERS: dict[str, Callable[[], optax.GradientTransformation]] = {
    "sgd": optax.identity,
    "momentum": lambda: optax.trace(decay=0.9),
    "nesterov": lambda: optax.trace(decay=0.9, nesterov=True),
    "adam": lambda: _lenient(optax.scale_by_adam()),
    # Decoupled weight decay: the rate multiplies it too, as in optax.adamw. 0.1 is DiLoCo's.
    "adamw": lambda: _lenient(optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(0.1))),
    # Matrices alone are orthogonalised; other arrays take Adam with Nesterov's momentum, as in optax. optax's step goes
    # downhill, and a second factor of -1 undoes that.
    "muon": lambda: _lenient(optax.chain(optax.contrib.muon(1.0), optax.scale(-1.0))),
}

Gradient = Callable[[PyTree, jax.Array], PyTree]

Optimizer = str | optax.GradientTransformation

# A function of the round, i32[], that returns a factor on the learning rate.
Decay = Callable[[jax.Array], jax.Array]


def _lenient(transform: optax.GradientTransformation) -> optax.GradientTransformation:
    """The transform under standard type promotion: optax's Adam raises a float to an integer power."""

    def update(*args):
        with jax.numpy_dtype_promotion("standard"):
            return transform.update(*args)

    return optax.GradientTransformation(transform.init, update)


@functools.cache
def transform(optimizer: Optimizer) -> optax.GradientTransformation:
    """The optax transform with a name in `OPTIMIZERS`, always the same object; a transform is returned unchanged.

    >>> transform("adam") is transform("adam")
    True

    Args:
      optimizer: name in `OPTIMIZERS`, or an optax transform without a learning rate.

    Raises:
      InputError: if the name is unknown.
    """
    if isinstance(optimizer, str):
        return OPTIMIZERS[checks.known("optimizer", optimizer, OPTIMIZERS)]()
    return optimizer


def rate(lr: jax.Array, decay: Decay | None, t: jax.Array) -> jax.Array:
    """The learning rate of round t: `lr decay(t)`, or `lr` without decay.

    Args:
      lr: learning rate, f[].
      decay: function of the round that returns a factor on lr, or None.
      t: the round, i32[].
    """
    if decay is None:
        return lr
    with jax.numpy_dtype_promotion("standard"):  # schedules of optax divide the whole number t
        factor = decay(t)
    return lr * jnp.asarray(factor, jnp.result_type(lr))


def local_steps(
    params: PyTree,
    opt_state: PyTree,
    node: Node,
    lr: jax.Array,
    steps: int,
    optimizer: Optimizer = "sgd",
    gradient: Gradient | None = None,
) -> tuple[PyTree, PyTree]:
    """`x <- x - lr T(g_k(x))` for minibatches k = 0 .. steps - 1, with T the optax transform.

    If the node has a budget, `node.steps`, it takes at most that many steps.

    Args:
      params: the node's model x.
      opt_state: state of T.
      node: the node, which provides gradients and its budget of steps.
      lr: learning rate, f[].
      steps: number H of steps, static.
      optimizer: T or its name.
      gradient: function (x, k) that replaces the gradient on minibatch k, for methods that correct it.

    Returns:
      The model after the steps, and the state of T.
    """
    if isinstance(node.steps, np.int32) and node.steps == 0:  # known while the program is traced
        return params, opt_state
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
    """The number of local steps that `local_steps` takes this round: `steps`, or the node's smaller budget.

    Args:
      node: the node.
      steps: number H of steps, static.

    Returns:
      The number of steps, i32[].
    """
    return jnp.int32(steps) if node.steps is None else jnp.minimum(jnp.int32(steps), node.steps)


def client_weight(node: Node, by_examples: bool) -> jax.Array:
    """The weight of a client in a server's mean.

    Args:
      node: the client.
      by_examples: whether the weight is its number of examples (True) or one (False).

    Returns:
      The weight, f[].
    """
    examples = node.num_examples.astype(jnp.result_type(float))
    return examples if by_examples else jnp.ones_like(examples)


def _summed(step: PyTree, total: PyTree, params: PyTree = None) -> tuple[PyTree, PyTree]:
    return step, tree.add(total, step)


# Plain steps that sum their directions in the state: (x - y) / lr without a division, correct also for lr = 0.
SUMMED = optax.GradientTransformation(tree.zeros_like, _summed)
