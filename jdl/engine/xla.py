"""Work-arounds for XLA on a CPU, each named by its effect. Delete one when its benchmark says so.

XLA fuses a computation into everything that reads its result, and computes it anew for each reader. A loop is a fence
that it does not look through; an `optimization_barrier` is none.

| function | effect | benchmark that says when it may go |
|---|---|---|
| `written_once` | a message is computed once and stored before neighbours read it | `benchmarks/loop.py` |
| `accumulate` | a long chain of gathers and sums is cut into short ones | `benchmarks/forms.py` |
| `stored` | a result is stored before the gradient reads it at several places | `benchmarks/models.py` |
| `threefry` | the generator is one fused pass; JAX lowers it to loops on a CPU | `benchmarks/draws.py` |
| `split_cpu` | convolutions run on all cores, since each core is a device of its own | `benchmarks/models.py` |
| `RUNS_ONCE` | a program that runs once is compiled in about half the time | `benchmarks/start.py` |

This module imports nothing of jdl, so that layers, exchanges and the engine can use it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

__all__ = [
    "COMPILE_FAST",
    "RUNS_ONCE",
    "accumulate",
    "cores",
    "is_split",
    "split_cpu",
    "stored",
    "threefry",
    "written_once",
]

T = TypeVar("T")

# Compiler options: what a program computes does not change, it is only less optimised by LLVM. Measured on two cores,
# the initial state of the digits network: compiled in 0.5 s in place of 0.9, with the same bits. A level that the user
# gives to all programs stays.
LEVEL = "xla_backend_optimization_level"
RUNS_ONCE = {} if LEVEL in os.environ.get("XLA_FLAGS", "") else {LEVEL: 1}
# Whether the user gives all programs level 0, to have them compiled fast, however slowly they run. Then the generator
# is not written out, since XLA would compile it again in each operation that reads a random number.
COMPILE_FAST = f"{LEVEL}=0" in os.environ.get("XLA_FLAGS", "")


def cores() -> int:
    """The number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_split() -> bool:
    """Whether someone has said how many devices the CPU has: the user in XLA_FLAGS or JAX's settings, or jdl."""
    told = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    return told or jax.config.jax_num_cpu_devices > 0


def split_cpu(count: int | None = None) -> bool:
    """Make each core of the CPU a JAX device of its own, unless someone has said how many devices there are.

    XLA's convolution runs on one core of a device. What does not ask for other devices stays on the first.

    Args:
      count: the number of devices; by default the number of cores.

    Returns:
      False if it is too late, since JAX has already computed something.
    """
    if not is_split():
        try:
            jax.config.update("jax_num_cpu_devices", cores() if count is None else count)
        except RuntimeError:
            return False
    return True


def written_once(t: jax.Array, message: T) -> T:
    """The same arrays, stored in memory before they are read.

    Without it, what a row sends would be computed again for every row that reads it, and a fused gradient in the order
    of a sum over nodes. The fence is a loop that has no turns, which XLA does not know. Derivatives pass through it.

    Args:
      t: i32[], the round. It is never negative.
      message: arrays. Those that are not of floating point, and all where the backend is not a CPU, are returned as
        they are.
    """
    if jax.default_backend() != "cpu":
        return message
    leaves, structure = jax.tree.flatten(message)
    real = [i for i, x in enumerate(leaves) if jnp.issubdtype(x.dtype, jnp.inexact)]
    for i, x in zip(real, _stored(t, [leaves[i] for i in real]), strict=True):
        leaves[i] = x
    return structure.unflatten(leaves)


def stored(arrays: T) -> T:
    """The same arrays, stored in memory before they are read, where there is no round to tell XLA nothing.

    Without it, XLA would compute them again at each place where a gradient reads them. Measured on one core, a training
    step of 32 images: GN-LeNet 57 ms without, 31 ms with it; LeNet 8.2 and 7.8 ms.

    Args:
      arrays: arrays, of which the first is of floating point.
    """
    leaves, structure = jax.tree.flatten(arrays)
    if jax.default_backend() != "cpu" or not leaves[0].size:
        return arrays
    first = jax.lax.slice(leaves[0], (0,) * leaves[0].ndim, (1,) * leaves[0].ndim).reshape(())
    return structure.unflatten(_stored((first != first).astype(jnp.int32), leaves))  # 1 if it is NaN, else 0


@jax.custom_jvp
def _stored(t: jax.Array, arrays: list[jax.Array]) -> list[jax.Array]:
    def turn(carry):
        i, arrays = carry
        return i - 1, [2 * x for x in arrays]

    return jax.lax.while_loop(lambda carry: carry[0] > t, turn, (jnp.minimum(t, 0), arrays))[1]


@_stored.defjvp
def _stored_jvp(primals, tangents):
    return _stored(*primals), tangents[1]


# The number of steps that are fused into one pass; elsewhere than on a CPU it was not measured.
TOGETHER, TOGETHER_ELSEWHERE = 8, 32


def accumulate(times: int, body: Callable[..., jax.Array], start: jax.Array) -> jax.Array:
    """Apply `x = body(i, x)` for i < times, in a loop of a few steps a turn, which XLA fuses into one pass.

    Fewer than two turns are no loop.

    One long chain of gathers is slow, as is a loop of single steps, each of which reads and writes x. Measured in a
    loop of rounds on two cores, 64 gathers of rows: one chain takes 1.5 times as long as single steps, turns of 8 steps
    0.4 to 0.7 times.

    Args:
      times: the number of steps.
      body: maps the step, an int or i32[], and the array so far to the next array.
      start: the array before the first step.
    """
    together = TOGETHER if jax.default_backend() == "cpu" else TOGETHER_ELSEWHERE
    turns = times // together if times >= 2 * together else 0

    def turn(i, x):
        for step in range(together):
            x = body(i * together + step, x)
        return x

    if turns:  # numbers of NumPy are known while JAX traces, so that the loop can be reversed
        start = jax.lax.fori_loop(np.int32(0), np.int32(turns), turn, start)
    for i in range(turns * together, times):
        start = body(i, start)
    return start


# The rotations of the eight rounds that repeat, and the constant of the key schedule.
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


@jax.jit
def threefry(key: tuple[jax.Array, jax.Array], count: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Threefry-2x32 with 20 rounds, the generator of `jax.random`, written out.

    Args:
      key: two words, u32[...].
      count: two words, u32[...], of a shape that broadcasts with that of the key.

    Returns:
      Two words, u32[...].

    References:
      Salmon et al. 2011, Parallel Random Numbers: As Easy as 1, 2, 3.
    """
    keys = (*key, key[0] ^ key[1] ^ jnp.uint32(PARITY))
    x, y = count[0] + keys[0], count[1] + keys[1]
    for i in range(5):
        for turn in ROTATIONS[i % 2]:
            x = x + y
            y = ((y << jnp.uint32(turn)) | (y >> jnp.uint32(32 - turn))) ^ x
        x, y = x + keys[(i + 1) % 3], y + keys[(i + 2) % 3] + jnp.uint32(i + 1)
    return x, y
