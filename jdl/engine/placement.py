"""Nodes divided over devices: over several GPUs, or over the cores of a CPU as devices of their own."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jdl import checks
from jdl.engine.xla import cores, split_cpu
from jdl.types import PyTree

__all__ = ["by_rows", "cores", "divided", "divided_rows", "everywhere", "find_devices", "mesh_over", "use_cores"]

AXIS = "nodes"


def use_cores(count: int | None = None) -> int:
    """Make each core of the CPU a JAX device of its own. Call this before the first computation.

    XLA's convolution runs on one core of a device. With one device per core, a network with convolutions trains on all
    cores at once, each with its share of the nodes (see `devices` of `jdl.simulation`). Other computations stay on the
    first device unless they ask for others. `jdl run` calls this function itself, and so do problems whose examples are
    images. If XLA_FLAGS or an earlier call has set the number of devices, that number stays.

    Args:
      count: the number of devices; by default the number of cores that this process may use.

    Returns:
      The number of CPU devices that JAX has now.

    Raises:
      InputError: if JAX has already computed something with another number of devices.
    """
    count = cores() if count is None else checks.whole("count", count, 1)
    checks.require(
        split_cpu(count),
        "got jdl.use_cores() after JAX's first computation, need it before; call it below the imports, in a notebook "
        "after a restart",
    )
    return len(find_devices("cpu"))


def find_devices(platform: str | None = None) -> list[jax.Device]:
    """The devices that JAX finds.

    Args:
      platform: "cpu", "gpu" or "tpu"; by default the one that JAX prefers.

    Raises:
      InputError: if JAX finds none, for example if the environment asks for a GPU and there is no driver.
    """
    try:
        return jax.devices(platform)
    except Exception as error:  # JAX raises what its backends raise
        said = [f"{name}={os.environ[name]}" for name in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME") if os.environ.get(name)]
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        got = " and ".join(said) or "a machine"
        raise checks.InputError(
            f"got {got}, where JAX finds no device ({why}), need a platform that it has; "
            "unset it, or set JAX_PLATFORMS=cpu"
        ) from error


def mesh_over(devices: int) -> Mesh | None:
    """A mesh of the first `devices` devices, or None for one device, which needs no mesh.

    Raises:
      InputError: if JAX has fewer devices.
    """
    found = jax.devices()[:devices]
    checks.require(
        len(found) == devices,
        f"got devices={devices}, JAX sees {len(found)} ({jax.default_backend()}); for the cores of a CPU call "
        "jdl.use_cores() before the first computation",
    )
    return None if devices == 1 else Mesh(found, (AXIS,), axis_types=(AxisType.Auto,))


def divided(function: Callable[..., Any], mesh: Mesh | None) -> Callable[..., Any]:
    """Run `function(shared, *rows)` with an equal part of the rows on each device, and `shared` on all of them.

    If the number of devices does not divide the number of rows, the last row is computed on several devices.

    Args:
      function: takes `shared` and arrays with a leading axis of rows, and returns arrays with that axis.
      mesh: the devices, or None, in which case `function` itself is returned.
    """
    if mesh is None:
        return function
    on = jax.shard_map(
        lambda shared, rows: function(shared, *rows),
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec(AXIS)),
        out_specs=PartitionSpec(AXIS),
        check_vma=False,  # it does not know all primitives, and nothing here is reduced over the devices
    )

    def over_devices(shared, *rows):
        if not jax.tree.leaves(rows):  # an empty message: there is nothing to divide
            return function(shared, *rows)
        count = jax.tree.leaves(rows)[0].shape[0]
        more = -count % mesh.size
        if not more:
            return on(shared, rows)
        places = jnp.minimum(jnp.arange(count + more, dtype=jnp.int32), count - 1)
        out = on(shared, jax.tree.map(lambda x: x[places], rows))
        return jax.tree.map(lambda x: x[:count], out)

    return over_devices


def divided_rows(mesh: Mesh) -> NamedSharding:
    """An equal part of the rows on each device."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


def everywhere(mesh: Mesh) -> NamedSharding:
    """A copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


# The fields of a run's state that have a row for each node; a server's, for one, may have n rows that are none.
OF_NODES = ("nodes", "exchange_state")


def by_rows(state: Any, n: int, mesh: Mesh) -> Any:
    """Where each array of a `RunState` lies: what nodes and links hold is divided, the rest is copied."""
    rows, copies = divided_rows(mesh), everywhere(mesh)

    def place(field: str) -> PyTree:
        divisible = field in OF_NODES
        return jax.tree.map(
            lambda x: rows if divisible and x.ndim and x.shape[0] == n else copies, getattr(state, field)
        )

    return state.replace(**{field.name: place(field.name) for field in dataclasses.fields(state)})
