"""The arrays of supervised learning: what goes onto the device, into a model, and out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl import tree
from jdl.types import PyTree

__all__ = ["inputs", "logits", "not_learnt", "on_device", "targets", "widened"]

# The largest size of a table of examples that is padded, see `widened`.
WIDENED_BYTES = 2**26


def logits(outputs: PyTree) -> Any:
    """The outputs that the loss reads, of a model that has several."""
    return outputs["logits"] if isinstance(outputs, Mapping) and "logits" in outputs else outputs


def widened(indices: np.ndarray, batch_size: int) -> np.ndarray:
    """Pad the table of examples to a width of 2^k, unless it is large, or minibatches consist of all examples.

    Partitions drawn from different seeds have different widths, and each width needs a program of its own. The draw of
    examples does not depend on the width.
    """
    nodes, width = indices.shape
    wider = 1 << (width - 1).bit_length()
    if not 0 < batch_size < width or 4 * nodes * wider > WIDENED_BYTES:
        return indices
    return np.pad(indices, ((0, 0), (0, wider - width)))


def on_device(x: np.ndarray) -> jax.Array:
    """A copy on the device: images as u8, tokens as i32, numbers in the default type."""
    x = np.asarray(x)
    return tree.copied(x) if x.dtype == np.uint8 else targets(x)


def targets(y: np.ndarray) -> jax.Array:
    """A copy on the device: classes and tokens as i32, numbers in the default type."""
    y = np.asarray(y)
    return tree.copied(y, jnp.result_type(float) if y.dtype.kind == "f" else np.int32)


def inputs(x: jax.Array) -> jax.Array:
    """The inputs of the model: images become numbers from 0 to 1, all else stays as it is."""
    return x.astype(jnp.result_type(float)) / 255 if x.dtype == jnp.uint8 else x


def not_learnt(variables: PyTree) -> PyTree:
    """All collections of variables except "params"."""
    return {name: values for name, values in variables.items() if name != "params"}
