"""The memory budget of a run: its peak, the free memory, and what the compiler leaves behind."""

from __future__ import annotations

import ctypes
import functools
import sys

import jax
import numpy as np

from jdl import checks
from jdl.engine.state import classes_of
from jdl.types import Key, Problem, PyTree

__all__ = ["fits_in_memory", "free_bytes", "memory_bytes", "return_freed", "shapes_of_model"]


def shapes_of_model(problem: Problem) -> PyTree:
    """The shapes of one model, traced once for problems of one class and shape."""
    return _model.eval_shape(classes_of(jax.tree.structure(problem)), problem, jax.eval_shape(jax.random.key, 0))


@functools.partial(jax.jit, static_argnums=0)
def _model(classes: tuple, problem: Problem, key: Key) -> PyTree:
    """One model. The classes are arguments because `jit` confuses two classes with equal fields; see `state.py`."""
    return problem.init(key)


def memory_bytes(problem: Problem, copies: int = 4, data_copies: int = 1) -> int:
    """Estimate the peak memory of a run.

    Args:
      problem: the data and the model.
      copies: the number of copies of all models that exist at once: state, message, inbox and gradient.
      data_copies: the number of copies of the data.

    Returns:
      The memory in bytes.
    """
    params = shapes_of_model(problem)
    one = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params))
    data = sum(leaf.nbytes if hasattr(leaf, "nbytes") else np.asarray(leaf).nbytes for leaf in jax.tree.leaves(problem))
    return data_copies * data + copies * problem.n * one


def free_bytes() -> int | None:
    """The free memory of the device in bytes, or None if the device does not report it."""
    stats = jax.devices()[0].memory_stats() if jax.default_backend() != "cpu" else None
    return stats["bytes_limit"] - stats["bytes_in_use"] if stats else checks.available_memory()


def fits_in_memory(problem: Problem, devices: int = 1) -> None:
    """Check that a run of this problem fits the memory.

    Args:
      problem: the data and the model.
      devices: the number of devices that share the nodes. The devices of a CPU share one memory, and each holds a copy
        of the data.

    Raises:
      InputError: if it does not fit; the sentence gives the estimate.
    """
    data_copies = devices if jax.default_backend() == "cpu" else 1
    checks.fits(memory_bytes(problem, data_copies=data_copies), f"{problem.n:,} nodes", free_bytes())


def return_freed() -> None:
    """Return the memory that this process has freed to the system.

    XLA's compiler frees about 200 MB for the program of a round, which glibc keeps. This call takes milliseconds. With
    other C libraries it does nothing.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
