"""From a function of one node to a function of all rows: vmap, a chunked map, or a Python loop that names the node."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jdl.engine.cost import cost_of
from jdl.engine.placement import divided

__all__ = ["AT_ONCE", "Mapping", "Placement", "choose", "over_nodes"]

# "auto", "vmap", the number of nodes at a time, or "loop"
Mapping = str | int

# On a CPU, networks with convolutions go fastest when the values of the nodes at hand fit the cache: convolutions with
# a kernel for every node are done one by one, and the passes between them read what was just written. Measured, 8
# nodes, 32 images each, CPU time: LeNet 8.5 ms a node one at a time, 9.2 ms two, 12.3 ms all; GN-LeNet 31.9, 34.5 and
# 40.4 ms.
CACHE_BYTES = 16 * 1024**2
# Dense networks go fastest all at once, as long as that fits the memory. CPU time, 64-32-10, batch 16: n = 1,024:
# 3.4 us a node at once, 5.4 us with 256 at a time; n = 4,096: 5.5 and 7.2 us; 784-200-200-10, batch 10, n = 100: 400 us
# at once, 793 us with 8 at a time, 1,187 us one by one.
MEMORY_BYTES = 1024**3
CHUNKS_WORTH_IT = 2
# A convolution of XLA runs on one core; those of several nodes, side by side in a program, now and then on two. Only
# where one device has all nodes: divided over the cores (see jdl.engine.placement) they are faster one by one. Measured
# on two cores, 32 nodes, 32 images each, with 1, 2, 4, 8 written out: LeNet 7.5, 6.6, 6.3, 6.7 ms a node; GN-LeNet
# 26.3, 24.3, 22.4, 20.5 ms.
LANES = 4


@dataclasses.dataclass(frozen=True)
class Placement:
    """How and where the rows of a round are computed.

    Attributes:
      mapping: how nodes are mapped, see `over_nodes`.
      mesh: the devices that share the nodes, see `jdl.engine.placement`, or None.
    """

    mapping: Mapping = "vmap"
    mesh: Mesh | None = None

    def over(self, function: Callable[..., Any], what: str) -> Callable[..., Any]:
        """Map a function of one row over all rows; see `over_nodes`."""
        return over_nodes(function, self.mapping, what, self.mesh)


AT_ONCE = Placement()


def choose(nodes: int, bytes_per_node: int, backend: str, at_once: int = CACHE_BYTES) -> Mapping:
    """The mapping that "auto" stands for: "vmap", or, on a CPU with many nodes, a number of nodes at a time.

    Args:
      nodes: the number of nodes.
      bytes_per_node: the size of all intermediate values of one node, in bytes.
      backend: the name of JAX's backend.
      at_once: the size of the intermediate values that may exist at the same time, in bytes.

    Returns:
      "vmap", or the largest power of two of nodes that fit `at_once`.

    >>> choose(512, 50_000, "cpu"), choose(16384, 50_000, "cpu"), choose(16384, 50_000, "gpu")
    ('vmap', 256, 'vmap')
    """
    fit = at_once // max(1, bytes_per_node) or 1
    chunk = 1 << (fit.bit_length() - 1)
    return chunk if backend == "cpu" and nodes > CHUNKS_WORTH_IT * chunk else "vmap"


def over_nodes(
    function: Callable[..., Any], mapping: Mapping, what: str, mesh: Mesh | None = None
) -> Callable[..., Any]:
    """Map `function(shared, row, ...)` over the leading axis of all its arguments but the first.

    Args:
      function: takes what all nodes share, and the values of one node.
      mapping: "vmap" for all nodes at once; a number c for c nodes at a time, which holds the activations of c nodes;
        "auto" for one of these, see `choose`; "loop" for a Python loop, in which, under `jax.disable_jit()`, an error
        and the first number that is not finite name their node.
      what: the name of the step, which these errors state.
      mesh: the devices that share the nodes, see `jdl.engine.placement`, or None.

    Returns:
      A function of `shared` and of stacked rows, `[m, ...]`, that returns stacked results.
    """
    return divided(_mapped(function, mapping, what, LANES if mesh is None else 1), mesh)


def _mapped(function: Callable[..., Any], mapping: Mapping, what: str, lanes: int) -> Callable[..., Any]:
    if mapping == "auto":
        return _auto(function, what, lanes)
    if mapping == "vmap":
        return lambda shared, *rows: jax.vmap(functools.partial(function, shared))(*rows)
    if mapping == "loop":
        return _loop(function, what)
    return _in_chunks(function, mapping, lanes)


def _in_chunks(function: Callable[..., Any], size: int, lanes: int) -> Callable[..., Any]:
    """So many nodes at a time; one has no axis of nodes, and `lanes` of them are written out in a step of the loop."""

    def chunked(shared, *rows):
        return jax.lax.map(lambda row: function(shared, *row), rows, batch_size=size)

    def written_out(shared, rows, count):
        outs = [function(shared, *jax.tree.map(lambda x, i=i: x[i], rows)) for i in range(count)]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *outs)

    def one_by_one(shared, *rows):
        n = jax.tree.leaves(rows)[0].shape[0]
        whole, rest = n // lanes * lanes, n % lanes
        parts = []
        if whole:
            groups = jax.tree.map(lambda x: x[:whole].reshape(whole // lanes, lanes, *x.shape[1:]), rows)
            outs = jax.lax.map(lambda group: written_out(shared, group, lanes), groups)
            parts.append(jax.tree.map(lambda x: x.reshape(whole, *x.shape[2:]), outs))
        if rest:
            parts.append(written_out(shared, jax.tree.map(lambda x: x[whole:], rows), rest))
        return parts[0] if len(parts) == 1 else jax.tree.map(lambda *x: jnp.concatenate(x), *parts)

    return one_by_one if size == 1 and lanes > 1 else chunked


def _auto(function: Callable[..., Any], what: str, lanes: int) -> Callable[..., Any]:
    def mapped(shared, *rows):
        one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), rows)
        # What only adds and scales is one fused pass over memory at best, and never better in pieces.
        cost = cost_of(function, shared, *one)
        size = cost.held_bytes if cost.multiplies else 0
        at_once = CACHE_BYTES if cost.convolves else MEMORY_BYTES
        mapping = choose(jax.tree.leaves(rows)[0].shape[0], size, jax.default_backend(), at_once)
        return _mapped(function, mapping, what, lanes)(shared, *rows)

    return mapped


def _loop(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    def looped(shared, *rows):
        outs = []
        for i in range(jax.tree.leaves(rows)[0].shape[0]):
            own = jax.tree.map(lambda x, i=i: x[i], rows)
            try:
                outs.append(function(shared, *own))
            except Exception as error:
                error.add_note(f"jdl: in `{what}` of row {i}{_round(own)}")
                raise
            _finite(outs[-1], own, f"`{what}` of row {i}{_round(own)}")
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *outs)

    return looped


def _round(own: Any) -> str:
    """Which node and round, where the values are concrete."""
    row = own[0]
    if not isinstance(row, dict) or isinstance(row["id"], jax.core.Tracer):
        return ""
    return f" (node {int(row['id'])}, round {int(row['t']) + 1})"


def _finite(out: Any, own: Any, where: str) -> None:
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(out)):
        return

    def broken(tree):
        return any(
            jnp.issubdtype(leaf.dtype, jnp.floating) and not np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(tree)
        )

    if broken(out) and not broken(own):
        raise FloatingPointError(f"{where} made a number that is not finite out of finite ones; try a smaller rate")
