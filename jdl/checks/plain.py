"""Pickles that hold plain values alone, and cannot run code."""

from __future__ import annotations

import io
import os
import pickle
from typing import Any

from jdl.checks.sentences import InputError

__all__ = ["plain_pickle"]


class _PlainValues(pickle.Unpickler):
    """Reads lists, dicts, numbers and text, and nothing that would have to be imported."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it holds {module}.{name}")


def plain_pickle(content: bytes, file: str | os.PathLike[str]) -> Any:
    """The lists, dicts, numbers and texts of a pickle.

    Args:
      content: the bytes of the pickle.
      file: where they are from, for the sentence of the error.

    Raises:
      InputError: if it cannot be read, or holds anything else, which could run code.

    >>> plain_pickle(pickle.dumps({"a": [1, 2.0]}), "trace.pkl")
    {'a': [1, 2.0]}
    """
    try:
        return _PlainValues(io.BytesIO(content)).load()
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError) as error:
        raise InputError(f"got {file}, need a pickle of plain values: {error}; write it as JSON") from error
