"""Loops of rounds in plain JAX, each written for one task only: no contract, no plan, no checks, nothing counted.

They are what a good engineer would write who wants the fastest program for that task: models stacked `[n, ...]`, one
call of the generator a round, the weights of a regular graph as one number, a state that is donated. `apply` is the
network, that of jdl or the plain one below; `draw` the generator, that of jdl or of JAX; `fenced` stores what others
read before they read it (`jdl.engine.xla.written_once`); `chunk` computes so many nodes at a time. Minibatches are
drawn with replacement from the same examples as jdl's. All return (loop, state, *rest), for
`state = loop(state, *rest, rounds)`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl.engine.xla import written_once
from jdl.problems import Logistic, Supervised
from jdl.rng import fold_in, integers
from jdl.schedule import Waves

PyTree = Any
LR = 0.1


def uint8_as_real(x: jax.Array) -> jax.Array:
    """Images as jdl gives them to a model."""
    return x.astype(jnp.float32) / 255 if x.dtype == jnp.uint8 else x


def plain_mlp(params: PyTree, x: jax.Array) -> jax.Array:
    """The dense network with matrix products throughout."""
    x = x.reshape(len(x), -1)
    *hidden, last = params["params"].values()
    for layer in hidden:
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"])
    return x @ last["kernel"] + last["bias"]


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The mean over the examples."""
    one_hot = jax.nn.one_hot(labels, logits.shape[-1])
    return jnp.mean(jax.nn.logsumexp(logits, axis=-1) - jnp.sum(one_hot * logits, axis=-1))


def mean_with(senders: jax.Array, x: jax.Array) -> jax.Array:
    """The mean of every row and of the rows `senders: i32[n, k]`; on a regular graph that is Metropolis-Hastings."""
    total = x
    for slot in range(senders.shape[1]):
        total = total + x.at[senders[:, slot]].get(mode="promise_in_bounds")
    return total / (senders.shape[1] + 1)


def product_with(weights: jax.Array, x: jax.Array) -> jax.Array:
    """The same as one matrix product over flat rows."""
    return (weights @ x.reshape(len(x), -1)).reshape(x.shape)


def mixer(senders: np.ndarray, by_product: bool) -> jax.tree_util.Partial:
    """A function of one array that mixes its rows, by gathers or by a matrix product; its arrays are leaves."""
    n, degree = senders.shape
    if not by_product:
        return jax.tree_util.Partial(mean_with, jnp.asarray(senders))
    weights = np.eye(n, dtype=np.float32)
    weights[np.arange(n)[:, None], senders] = 1
    return jax.tree_util.Partial(product_with, jnp.asarray(weights / (degree + 1)))


def stacked(one: PyTree, n: int) -> PyTree:
    """n copies of one model."""
    return jax.tree.map(lambda x: jnp.array(jnp.broadcast_to(x, (n, *x.shape))), one)


def over(function: Callable, chunk: int, *rows: PyTree) -> PyTree:
    """All rows at once; so many at a time; or for 1 one by one, four of them written out in each turn of the loop."""
    if chunk == 1:
        return jax.lax.scan(lambda _, row: ((), function(*row)), (), rows, unroll=4)[1]
    return jax.lax.map(lambda row: function(*row), rows, batch_size=chunk) if chunk else jax.vmap(function)(*rows)


def by_jax(key: jax.Array, t: jax.Array, shape: tuple[int, ...], below: int) -> jax.Array:
    """Random numbers of a round, in one call of JAX's generator."""
    return jax.random.randint(jax.random.fold_in(key, t), shape, 0, below, jnp.int32)


def by_jdl(key: jax.Array, t: jax.Array, shape: tuple[int, ...], below: int) -> jax.Array:
    """The same in one call of jdl's, which XLA fuses."""
    return integers(fold_in(key, t), math.prod(shape), jnp.int32(below)).reshape(shape)


def minibatches(draw: Callable, key: jax.Array, t: jax.Array, rows: jax.Array, size: int) -> jax.Array:
    """For each row of `rows: i32[n, m]` so many of its entries, drawn with replacement."""
    places = draw(key, t, (rows.shape[0], size), rows.shape[1])
    return jnp.take_along_axis(rows, places, axis=1, mode="promise_in_bounds")


def gradients(apply: Callable, chunk: int, models: PyTree, chosen: jax.Array, x: jax.Array, y: jax.Array) -> PyTree:
    """The gradient of every model on its minibatch, the rows `chosen: i32[n, batch]` of the data."""

    def one(model, chosen):
        images, labels = uint8_as_real(x[chosen]), y[chosen]
        return jax.grad(lambda model: cross_entropy(apply(model, images), labels))(model)

    return over(one, chunk, models, chosen)


def dpsgd(p: Supervised, senders: np.ndarray, apply: Callable, draw=by_jdl, fenced=True, chunk=0, by_product=False):
    """D-PSGD: x <- W (x - lr g(x))."""

    @functools.partial(jax.jit, donate_argnums=0)
    def loop(models, x, y, rows, mix, key, rounds):
        def body(t, models):
            chosen = minibatches(draw, key, t, rows, p.batch_size)
            slopes = gradients(apply, chunk, models, chosen, x, y)
            models = jax.tree.map(lambda model, slope: model - LR * slope, models, slopes)
            models = written_once(t, models) if fenced else models
            return jax.tree.map(mix, models)

        return jax.lax.fori_loop(0, rounds, body, models)

    models = stacked(p.init(jax.random.key(0)), p.n)
    return loop, models, p.train_x, p.train_y, p.indices, mixer(senders, by_product), jax.random.key(0)


def ad_psgd(p: Supervised, waves: Waves, apply: Callable, draw=by_jdl, fenced=True, chunk=0):
    """AD-PSGD in waves of pairs: x_i, x_j <- (x_i + x_j) / 2, then x_i <- x_i - lr g(stale_i), and stale_i <- x_i.

    Rows of nobody are left out by ids that no node has. Waves begin anew after the last one.
    """
    take = lambda x, rows: x.at[rows].get(mode="promise_in_bounds")
    put = lambda x, rows, new: x.at[rows].set(new, mode="drop")

    @functools.partial(jax.jit, donate_argnums=0)
    def loop(state, x, y, rows, plan, key, rounds):
        def body(t, state):
            first, second, acts = jax.tree.map(lambda x: x[t % len(x)], plan)
            width, (models, stale) = len(first), state
            one, other, old = (
                jax.tree.map(lambda x, rows=rows: take(x, rows), tree)
                for tree, rows in ((models, first), (models, second), (stale, first))
            )
            chosen = minibatches(draw, key, t, take(rows, first), p.batch_size)
            slopes = gradients(apply, chunk, old, chosen, x, y)
            middle = jax.tree.map(lambda one, other: (one + other) / 2, one, other)
            new = jax.tree.map(lambda middle, slope: middle - LR * slope, middle, slopes)
            new, middle = written_once(t, (new, middle)) if fenced else (new, middle)
            beyond = p.n + jnp.arange(2 * width, dtype=jnp.int32)
            i, j = jnp.where(acts, first, beyond[:width]), jnp.where(acts, second, beyond[width:])
            models = jax.tree.map(lambda x, a, b: put(put(x, i, a), j, b), models, new, middle)
            return models, jax.tree.map(lambda x, a: put(x, i, a), stale, new)

        return jax.lax.fori_loop(0, rounds, body, state)

    models = stacked(p.init(jax.random.key(0)), p.n)
    state = models, jax.tree.map(jnp.array, models)
    plan = waves.first, waves.second, waves.acts
    return loop, state, p.train_x, p.train_y, p.indices, plan, jax.random.key(0)


def tracking(p: Supervised, senders: np.ndarray, apply: Callable, draw=by_jdl, fenced=True):
    """Gradient tracking: x <- W (x - lr y), y <- W y + g(x+) - g(x), one exchange a round."""

    @functools.partial(jax.jit, donate_argnums=0)
    def loop(state, x, y, rows, senders, key, rounds):
        def body(t, state):
            models, trackers, before = state
            chosen = minibatches(draw, key, t, rows, p.batch_size)
            slopes = gradients(apply, 0, models, chosen, x, y)
            trackers = jax.tree.map(lambda tracker, new, old: tracker + (new - old), trackers, slopes, before)
            models = jax.tree.map(lambda model, tracker: model - LR * tracker, models, trackers)
            sent = (models, trackers)
            sent, slopes = written_once(t, (sent, slopes)) if fenced else (sent, slopes)
            return *jax.tree.map(functools.partial(mean_with, senders), sent), slopes

        return jax.lax.fori_loop(0, rounds, body, state)

    models = stacked(p.init(jax.random.key(0)), p.n)
    trackers, slopes = (jax.tree.map(jnp.zeros_like, models) for _ in range(2))
    state = models, trackers, slopes
    return loop, state, p.train_x, p.train_y, p.indices, jnp.asarray(senders), jax.random.key(0)


def distinct(key: jax.Array, n: int, m: int) -> jax.Array:
    """m different numbers below n: the first m that differ of a few more draws; all else is drawn anew.

    Every set is equally likely, since a draw that was had before is passed over. 16 spare draws suffice nearly always.
    """
    width = m + 16
    earlier = jnp.arange(width)[:, None] > jnp.arange(width)[None, :]

    def attempt(carry):
        i, _, _ = carry
        numbers = by_jdl(key, i, (width,), n)
        fresh = ~jnp.any((numbers[:, None] == numbers[None, :]) & earlier, axis=1)
        place = jnp.cumsum(fresh) - 1
        chosen = jnp.zeros(m, jnp.int32).at[jnp.where(fresh, place, m)].set(numbers, mode="drop")
        return i + 1, chosen, place[-1] + 1

    start = (jnp.int32(0), jnp.zeros(m, jnp.int32), jnp.int32(0))
    return jax.lax.while_loop(lambda carry: carry[2] < m, attempt, start)[1]


def fedavg(p: Supervised, clients: int, apply: Callable, draw=by_jdl, fenced=True, sampler=distinct):
    """FedAvg with one local step of so many clients, drawn anew each round, all of the same weight."""

    @functools.partial(jax.jit, donate_argnums=0)
    def loop(model, x, y, rows, key, rounds):
        def body(t, model):
            sampled = rows[sampler(fold_in(key, 2 * t + 1), p.n, clients)]
            chosen = minibatches(draw, key, 2 * t, sampled, p.batch_size)
            copies = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (clients, *leaf.shape)), model)
            slopes = gradients(apply, 0, copies, chosen, x, y)
            slopes = written_once(t, slopes) if fenced else slopes
            return jax.tree.map(lambda value, slope: value - LR * jnp.mean(slope, axis=0), model, slopes)

        return jax.lax.fori_loop(0, rounds, body, model)

    return loop, p.init(jax.random.key(0)), p.train_x, p.train_y, p.indices, jax.random.key(0)


def logistic(p: Logistic, senders: np.ndarray, fenced=False, by_hand=False):
    """D-PSGD on full batches of logistic regression; the gradient by `jax.grad`, or written out."""

    def f(x, a, y, w, reg):
        return jnp.sum(w * (jax.nn.softplus(-y * (a @ x)) + reg / 2 * jnp.sum(x * x)))

    def slope(x, a, y, w, reg):
        return (-w * y * jax.nn.sigmoid(-y * (a @ x))) @ a + jnp.sum(w) * reg * x

    @functools.partial(jax.jit, donate_argnums=0)
    def loop(x, a, y, w, reg, senders, rounds):
        def body(t, x):
            one = slope if by_hand else jax.grad(f)
            x = x - LR * jax.vmap(one, in_axes=(0, 0, 0, 0, None))(x, a, y, w, reg)
            return mean_with(senders, written_once(t, x) if fenced else x)

        return jax.lax.fori_loop(0, rounds, body, x)

    x = stacked(p.init(jax.random.key(0)), p.n)
    return loop, x, p.features, p.labels, p.weights, p.regularization, jnp.asarray(senders)


def copy(p: Supervised | Logistic, models: int):
    """As many copies of some models as rounds, each in place: the yardstick of passes over memory."""

    @functools.partial(jax.jit, donate_argnums=0)
    def loop(models, factor, rounds):
        return jax.lax.fori_loop(0, rounds, lambda _, x: jax.tree.map(lambda leaf: factor * leaf, x), models)

    return loop, stacked(p.init(jax.random.key(0)), models), jnp.float32(1)
