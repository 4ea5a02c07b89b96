"""Arrays of any type as a data set has them: images, tokens, features; classes, targets; and a fifth held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jdl import checks
from jdl.data import held_out as parts

__all__ = ["held_out", "inputs", "targets"]


def held_out(x: np.ndarray, y: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The examples to train on and a fifth to test on (of each class, where y is classes), each in their order."""
    fits = x.ndim > 0 and x.shape[:1] == y.shape[:1]
    got = f"got {path} with x of {x.shape} and y of {y.shape}"
    checks.require(fits, f"{got}, need as many targets as examples; save them anew")
    classes = y.ndim == 1 and np.issubdtype(y.dtype, np.integer)
    test = parts.held_out(y if classes else np.zeros(len(y)))
    return x[~test], y[~test], x[test], y[test]


def inputs(x: np.ndarray, y: np.ndarray, path: Path) -> np.ndarray:
    """`x` as images u8[N, H, W, C], tokens i32[N, T] (where y has their shape), or float32 with two axes at least."""
    need = "need whole or real numbers; save x.astype(np.float32)"
    checks.require(x.dtype.kind in "fiub", f"got {path} with examples of {x.dtype}, {need}")
    if x.dtype == np.uint8 and x.ndim in (3, 4):
        return x if x.ndim == 4 else x[..., None]
    if np.issubdtype(x.dtype, np.integer) and x.ndim == 2 and y.shape == x.shape:
        return _in_32_bits(x, path, "token", "tokens")
    with np.errstate(over="ignore"):  # what overflows is refused where the whole is looked at
        return (x[:, None] if x.ndim == 1 else x).astype(np.float32)


def targets(y: np.ndarray, path: Path) -> np.ndarray:
    """`y` as i32 where it is whole numbers, which count from 0, else as f32; a last axis of 1 is dropped."""
    kind = "f" if np.issubdtype(y.dtype, np.floating) else "i" if np.issubdtype(y.dtype, np.integer) else y.dtype.kind
    need = "need whole or real numbers; save classes as np.unique(y, return_inverse=True)[1]"
    checks.require(kind in "fib", f"got {path} with targets of {y.dtype}, {need}")
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if kind != "f":
        return _in_32_bits(y, path, "class", "classes")
    with np.errstate(over="ignore"):
        return y.astype(np.float32)


def _in_32_bits(values: np.ndarray, path: Path, what: str, many: str) -> np.ndarray:
    """Classes or tokens as i32."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    wrong = low if low < 0 else high
    checks.require(
        low >= 0 and high < 2**31,
        f"got {path} with the {what} {wrong}, need {many} that count from 0; number them anew, as does "
        "np.unique(..., return_inverse=True)[1]",
    )
    return values.astype(np.int32)
