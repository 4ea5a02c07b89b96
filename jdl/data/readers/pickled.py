"""Pickles in the format of CIFAR, restricted to arrays, because any other pickle may run arbitrary code."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from jdl import checks

__all__ = ["restricted_unpickle"]

# All names to which a pickled dict of arrays, lists and byte strings refers, as in numpy before and since version 2.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _Restricted(pickle.Unpickler):
    """An unpickler that may only construct arrays, since a pickle is a program."""

    def find_class(self, module: str, name: str) -> Any:
        checks.require(
            (module, name) in _ALLOWED,
            f"got a pickle that asks for {module}.{name}, need one of arrays alone, as CIFAR is published; "
            "do not trust the file, get it again",
        )
        return _ALLOWED[module, name]


def restricted_unpickle(content: bytes, path: Path) -> dict:
    """The dict in a pickle that holds arrays, lists, numbers and byte strings.

    Raises:
      InputError: if it refers to anything else (which is not called), is damaged, or is not a dict.
    """
    try:
        inside = _Restricted(io.BytesIO(content), encoding="bytes").load()
    except checks.InputError as refusal:
        raise checks.InputError(f"{refusal} ({path})") from None
    except Exception as error:  # a damaged pickle can raise anything
        raise checks.InputError(f"got {path}, which is not a pickle ({error}); get it again") from error
    checks.require(isinstance(inside, dict), f"got {path} with a {type(inside).__name__}, need a dict; get it again")
    return inside
