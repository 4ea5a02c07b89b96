"""The inputs that a message betrays: a linear layer's gradients divided by those of its bias."""

from __future__ import annotations

from typing import Any

import numpy as np

from jdl import checks

__all__ = ["inverted"]


def inverted(kernel: Any, bias: Any) -> np.ndarray:
    """The input of a linear layer, from how one example changed its weights and its bias.

    The outputs are W' x + b, so that dL/dW_{:, c} = x dL/db_c: the input is the column of any output divided by the
    entry of the bias, exactly, of whatever loss, and of whatever step size the change has. The output with the largest
    change of the bias is taken: for cross-entropy that is the class of the example, whose entry is minus the sum of the
    others. Of several examples it is their mean with weights dL_s/db_c, which may be negative.

    What a node sends is in `jdl.sim.wires`: the difference of its message and of the model it began with is such a
    change, where the round was one step on one example, without momentum, decay or noise.

    Args:
      kernel: the change of the weights, f[..., inputs, outputs], as in `flax.linen.Dense`; leading axes are nodes.
      bias: the change of the bias, f[..., outputs].

    Returns:
      The inputs, f[..., inputs]; NaN where the bias did not change.

    Raises:
      InputError: if the shapes do not fit.

    References:
      Geiping, Bauermeister, Droege, Moeller 2020, Inverting Gradients: How Easy Is It to Break Privacy in Federated
      Learning? (attacks on gradients; the quotient is derived here)

    >>> inverted([[2.0, -4.0], [3.0, -6.0]], [1.0, -2.0]).tolist()
    [2.0, 3.0]
    """
    kernel, bias = np.asarray(kernel, float), np.asarray(bias, float)
    fits = bias.ndim > 0 and kernel.ndim == bias.ndim + 1 and kernel.shape[:-2] + kernel.shape[-1:] == bias.shape
    shapes = f"got a kernel of shape {kernel.shape} and a bias of shape {bias.shape}"
    checks.require(fits, f"{shapes}, need [..., inputs, outputs] and [..., outputs]; give those of one layer")
    best = np.argmax(np.abs(bias), axis=-1)[..., None]
    below = np.take_along_axis(bias, best, axis=-1)
    column = np.take_along_axis(kernel, best[..., None], axis=-1)[..., 0]
    return np.where(below == 0, np.nan, column / np.where(below == 0, 1, below))
