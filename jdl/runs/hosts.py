"""Several processes that simulate together: process 0 decides and writes, and tells the others what it decided."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np

from jdl.types import PyTree

__all__ = ["ALONE", "Hosts"]

T = TypeVar("T")


def _from_first(array: np.ndarray) -> np.ndarray:
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.broadcast_one_to_all(array))


def _whole(leaf: Any) -> Any:
    """An array that lies on the devices of several processes, on this host; what this process holds stays as it is."""
    from jax.experimental import multihost_utils

    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable:
        return leaf
    return multihost_utils.process_allgather(leaf, tiled=True)


@dataclasses.dataclass(frozen=True)
class Hosts:
    """The processes of a run. Each calls the methods at the same points of the program, and in the same order.

    What depends on the clock, on the user or on files may differ between processes, and a process that takes another
    branch than the others waits for them for ever. Therefore process 0 decides such things for all.

    Attributes:
      index: the number of this process.
      count: the number of processes.
      broadcast: takes an array, of one shape and type in all processes, and gives each that of process 0.
    """

    index: int = 0
    count: int = 1
    broadcast: Callable[[np.ndarray], np.ndarray] = _from_first

    @classmethod
    def of_jax(cls) -> Hosts:
        """The processes of `jax.distributed`; a single one without it."""
        return cls(jax.process_index(), jax.process_count())

    @property
    def leads(self) -> bool:
        """Whether this process decides, writes files and shows the progress."""
        return self.index == 0

    def agreed(self, value: T) -> T:
        """What process 0 gives. With one process this is the identity.

        Args:
          value: any value that can be pickled. That of other processes does not matter.
        """
        if self.count == 1:
            return value
        content = np.frombuffer(pickle.dumps(value), np.uint8) if self.leads else np.zeros(0, np.uint8)
        size = int(self.broadcast(np.asarray(content.size, np.int32)))
        return pickle.loads(self.broadcast(content if self.leads else np.zeros(size, np.uint8)).tobytes())

    def once(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function in process 0 alone, and give all processes what it returns.

        Args:
          function: what is called. If it raises an exception, all processes raise it.
          args: its arguments.
        """
        if self.count == 1:
            return function(*args)
        value, error = None, None
        if self.leads:
            try:
                value = function(*args)
            except Exception as raised:
                error = raised
        value, error = self.agreed((value, error))
        if error is not None:
            raise error
        return value

    def gathered(self, state: PyTree) -> PyTree:
        """A state that one process can write: arrays that are spread over processes come to each of them whole."""
        return state if self.count == 1 else jax.tree.map(_whole, state)


ALONE = Hosts()
