"""Gradients and Hessians of all nodes at one model, as an oracle answers them in a run."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jdl import checks
from jdl.engine.state import Simulation
from jdl.oracle.stack import as_oracle
from jdl.rng import STREAMS, fold_in, key_of
from jdl.types import FULL, Data, Problem, PyTree

__all__ = [
    "curvatures",
    "holders",
    "model_at",
    "node_gradients",
    "one_model",
    "products",
    "question",
    "sampled_gradients",
]


def question(problem: Problem, oracle: Any = None, seed: int = 0) -> Simulation:
    """A problem, its oracle and the key of a seed, in the form in which parts are handed to compiled functions."""
    key = jax.random.key(checks.whole("seed", seed, 0))
    return Simulation(problem, (), (), (), as_oracle(oracle), key)


def model_at(problem: Problem, params: PyTree | None, what: str) -> PyTree:
    """The model at which a constant is measured: `params`, or the optimum where a problem knows it.

    Raises:
      InputError: if there are no `params` and no optimum, or if the shapes are not those of one model.
    """
    known = getattr(problem, "optimum", None)
    got = f"got no params and a {type(problem).__name__}, whose optimum is not known, need a model at which {what} is"
    checks.require(params is not None or known is not None, f"{got} measured; give params=problem.init(key), say")
    return known.params if params is None else one_model(problem, params)


def one_model(problem: Problem, params: PyTree) -> PyTree:
    """What is given, if it has the shapes of one model of the problem.

    Raises:
      InputError: if it has others, such as the models of all nodes.
    """
    found = [np.shape(leaf) for leaf in jax.tree.leaves(params)]
    wanted = [leaf.shape for leaf in jax.tree.leaves(jax.eval_shape(problem.init, jax.random.key(0)))]
    listed = lambda shapes: ", ".join(map(str, shapes[:4])) + (", ..." if len(shapes) > 4 else "")
    got = f"got params with arrays of shapes {listed(found)}, need one model of this problem: {listed(wanted)}"
    checks.require(found == wanted, f"{got}; give result.mean_model, say")
    return params


def holders(problem: Problem) -> np.ndarray:
    """bool[n], which nodes have data; means over nodes are over these."""
    return np.asarray(problem.num_examples) > 0


def node_gradients(problem: Problem, params: PyTree | None = None, oracle: Any = None, seed: int = 0) -> np.ndarray:
    """The full gradient of every node at one model, `float[n, d]`, parameters in the order of `ravel_pytree`.

    Args:
      problem: any problem.
      params: one model; None for the optimum, where the problem knows it.
      oracle: None, an oracle, a wrapper, or a list of them, as in a run.
      seed: the seed of what the oracle draws.

    Raises:
      InputError: if `params` is missing and the optimum is not known.

    >>> import jdl
    >>> bool(abs(node_gradients(jdl.problems.quadratic(nodes=4, dim=3)).sum(axis=0)).max() < 1e-5)
    True
    """
    params = model_at(problem, params, "the gradient")
    return np.asarray(_full(question(problem, oracle, seed), params), np.float64)


def sampled_gradients(s: Simulation, params: PyTree, rounds: int) -> np.ndarray:
    """The gradient of minibatch 0 of each node in each of the first rounds of a run, `float[rounds, n, d]`."""
    return np.asarray(_sampled(s, params, jnp.arange(rounds, dtype=jnp.int32)), np.float64)


def curvatures(s: Simulation, params: PyTree) -> np.ndarray:
    """The Hessian of every node, `float[n, d, d]`."""
    return np.asarray(_hessians(s, params), np.float64)


@jax.jit
def products(s: Simulation, params: PyTree, ids: jax.Array, vector: jax.Array) -> jax.Array:
    """The Hessians of the nodes `ids`, i32[k], times one vector f[d]: f[k, d]."""
    back = ravel_pytree(params)[1]
    return _each(s, jnp.int32(0), lambda data: s.oracle.hvp(data, params, back(vector), FULL), ids)


@jax.jit
def _full(s: Simulation, params: PyTree) -> jax.Array:
    return _each(s, jnp.int32(0), lambda data: s.oracle.grad(data, params, FULL)[0])


@jax.jit
def _sampled(s: Simulation, params: PyTree, rounds: jax.Array) -> jax.Array:
    return jax.lax.map(lambda t: _each(s, t, lambda data: s.oracle.grad(data, params, 0)[0]), rounds)


@jax.jit
def _hessians(s: Simulation, params: PyTree) -> jax.Array:
    flat, back = ravel_pytree(params)
    column = lambda data, v: ravel_pytree(s.oracle.hvp(data, params, back(v), FULL))[0]
    all_columns = lambda data: jax.lax.map(functools.partial(column, data), jnp.eye(flat.size, dtype=flat.dtype))
    return _each(s, jnp.int32(0), all_columns)


def _each(s: Simulation, t: jax.Array, ask: Any, ids: jax.Array | None = None) -> jax.Array:
    """What `ask` answers for the data of every node (of `ids`) in round t; a pytree as a row of numbers a node."""
    ids = jnp.arange(s.problem.n, dtype=jnp.int32) if ids is None else ids
    memory = s.oracle.init(s.problem, key_of(s.key, "oracle", 0))

    def one(id):
        data = Data(
            problem=s.problem,
            id=id,
            t=t,
            count=t,
            key=key_of(s.key, "data", t, id),
            order_key=key_of(s.key, "order", 0, id),
            public_key=fold_in(key_of(s.key, "common", t), STREAMS["public"]),
            honest=jnp.bool_(True),
            group=jnp.int32(0),
            memory=jax.tree.map(lambda rows: rows[id], memory),
        )
        answer = ask(data)
        return answer if isinstance(answer, jax.Array) else ravel_pytree(answer)[0]

    return jax.vmap(one)(ids)
