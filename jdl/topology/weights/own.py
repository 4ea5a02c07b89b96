"""Your own mixing matrix, and the checks of its properties."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array, diags_array, issparse

from jdl import checks
from jdl.topology import forms
from jdl.topology.topology import Topology
from jdl.topology.weights.adjacency import require_connected

__all__ = ["check_weights", "completed", "from_weights", "stated"]

KINDS = ("column", "doubly", "row")
TOLERANCE = float(np.sqrt(np.finfo(np.float64).eps))

# The binary digits of bfloat16, float16 and float32, and the tolerance of sums of such weights: the rounding error of
# a weight, or for float32 its square root, since weights are often computed in float32. OF_TEXT is for text of about
# seven digits.
SLACK = {8: 2.0**-8, 11: 2.0**-11, 24: 2.0**-12}
OF_TEXT = 1e-6
# The decimals of text with fewer digits, and the largest tolerance of a row of such text.
DECIMALS = (4, 5, 6)
OF_SHORT_TEXT = 1e-3
SWEEPS = 100


def check_weights(W: Any, stochastic: str = "doubly") -> None:
    """Check that W is a square matrix whose rows, columns or both sum to one, as `stochastic` states.

    Negative weights are accepted: fast linear iterations have them. The tolerance of the sums follows from the digits
    of the weights: 2^-8, 2^-11 or 2^-12 if all are values of bfloat16, float16 or float32, in whatever array or text;
    half a unit of the last of 4 to 6 decimals for each weight of a row; otherwise 1e-6.

    Args:
      W: `[n, n]` array or scipy sparse matrix; `W[i, j]` is the weight that receiver i gives to sender j.
      stochastic: "doubly", "row" or "column" stochastic.

    Raises:
      InputError: if W is not a square matrix of numbers, or if sums differ from one.

    >>> check_weights([[0.5, 0.5], [0.25, 0.75]], stochastic="row")
    >>> check_weights([[0.5, 0.5], [0.25, 0.75]])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    jdl.checks.InputError: got W with column 0 summing to 0.75, ... try stochastic="row", which fits
    """
    _checked(W, stochastic)


@checks.renamed_arguments(kind="stochastic")
def from_weights(
    W: Any, stochastic: str = "doubly", name: str = "weights", allow_disconnected: bool = False
) -> Topology:
    """The topology of your own mixing matrix.

    The links are the nonzero off-diagonal weights. A W that is symmetric up to rounding is made exactly symmetric, and
    sums that deviate by rounding (see `check_weights`) are made 1.

    Args:
      W: `[n, n]` array or scipy sparse matrix; `W[i, j]` is the weight that receiver i gives to sender j.
      stochastic: "doubly", "row" or "column" stochastic, which is checked.
      name: name in tables and plots.
      allow_disconnected: whether to accept weights under which some nodes cannot reach each other.

    Raises:
      InputError: if W is not stochastic as stated, or disconnected.

    >>> from_weights([[0.75, 0.25], [0.25, 0.75]])
    <weights: 2 nodes, 1 edge, degree 1, doubly stochastic, symmetric>
    """
    matrix, tolerance = _checked(W, stochastic)
    require_connected(forms.off_diagonal(matrix), allow_disconnected)
    return stated(name, matrix, stochastic, tolerance)


def stated(name: str, matrix: csr_array, stochastic: str | None = None, tolerance: float = TOLERANCE) -> Topology:
    """The topology of a matrix; its symmetry, and for `stochastic=None` that property too, are read from it."""
    if stochastic is None:
        fits = _sums_to_one(matrix, tolerance)
        assert fits, f"neither rows nor columns of {name} sum to one"
        stochastic = fits[0] if len(fits) == 1 else "doubly"
    symmetric = bool(abs(matrix - matrix.T).max() <= tolerance)
    matrix = csr_array((matrix + matrix.T) / 2) if symmetric else matrix
    return Topology(name, matrix, "doubly" if symmetric else stochastic, symmetric)


def completed(weights: csr_array) -> csr_array | None:
    """W with these weights on links and the rest of every sum on the diagonal, or None if that is not a W.

    Links must have positive weights, and those into every node (or otherwise, out of every node) must sum to at most 1.
    A diagonal that is present must equal that rest.
    """
    links, diagonal = forms.off_diagonal(weights), weights.diagonal()
    if links.nnz and links.data.min() <= 0:
        return None
    slack = _slack(weights)
    for axis in (1, 0):
        rest = 1 - links.sum(axis=axis)
        if rest.min() >= -slack and (not diagonal.any() or np.abs(diagonal - rest).max() <= slack):
            W = csr_array(links + diags_array(np.maximum(rest, 0)))
            both = abs(links - links.T).max() <= slack
            return _normalised(W, ["row", "column"] if both else ["row" if axis else "column"], slack)
    return None


def _slack(matrix: csr_array) -> float:
    """The tolerance of the sums of a stochastic matrix, from the digits of its values."""
    values = matrix.data[np.isfinite(matrix.data)]
    mantissas = np.frexp(values)[0]
    for digits, slack in SLACK.items():
        if np.all(mantissas * 2**digits % 1 == 0):
            return slack
    most = int(np.diff(matrix.indptr).max(initial=1))
    for decimals in DECIMALS:
        if np.allclose(values, np.round(values, decimals), rtol=0, atol=1e-14):
            return max(OF_TEXT, min(most * 0.5 * 10**-decimals, OF_SHORT_TEXT))
    return OF_TEXT


def _sums_to_one(matrix: csr_array, tolerance: float) -> list[str]:
    sums = {"row": matrix.sum(axis=1), "column": matrix.sum(axis=0)}
    return [axis for axis, totals in sums.items() if np.all(np.abs(totals - 1) <= tolerance)]  # false for NaN


def _checked(W: Any, stochastic: str) -> tuple[csr_array, float]:
    """W as float64 csr whose sums are exactly 1 as stated, and the rounding error that its digits permit."""
    stochastic = checks.known("stochastic", stochastic, KINDS)
    W = W if issparse(W) else np.asarray(W)
    square = W.ndim == 2 and W.shape[0] == W.shape[1] >= 1
    checks.require(square, f"got W of shape {W.shape}, need a square matrix [n, n]; pass one row and one column a node")
    try:
        matrix = csr_array(W, dtype=np.float64, copy=True)
    except (ValueError, TypeError) as error:
        raise checks.InputError(f"got W of {W.dtype}, need numbers; try W.astype(float)") from error
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    tolerance = _slack(matrix)

    fits = _sums_to_one(matrix, tolerance)
    claimed = ["row", "column"] if stochastic == "doubly" else [stochastic]
    for axis in (axis for axis in claimed if axis not in fits):
        totals = matrix.sum(axis=1 if axis == "row" else 0)
        worst = int(np.argmax(np.abs(totals - 1)))
        need = f'{" and ".join(claimed)} sums of 1 for stochastic="{stochastic}"'
        do = f'stochastic="{fits[0]}", which fits' if fits else "metropolis(graph), or divide by the sums"
        total = next((text for digits in (6, 9, 17) if (text := f"{totals[worst]:.{digits}g}") != "1"), "1")
        raise checks.InputError(f"got W with {axis} {worst} summing to {total}, need {need}; try {do}")
    return _normalised(matrix, claimed, tolerance), tolerance


def _normalised(matrix: csr_array, axes: list[str], tolerance: float) -> csr_array:
    """The matrix with sums of 1 along the axes where rounding has changed them, otherwise unchanged."""
    if set(axes) <= set(_sums_to_one(matrix, TOLERANCE)):
        return matrix
    if len(axes) == 2 and abs(matrix - matrix.T).max() <= tolerance:  # W stays symmetric below
        matrix = csr_array((matrix + matrix.T) / 2)
        return csr_array(matrix + diags_array(1 - matrix.sum(axis=1)))
    for _ in range(SWEEPS):
        for axis in axes:
            sums = matrix.sum(axis=1 if axis == "row" else 0)
            scale = diags_array(1 / sums)
            matrix = csr_array(scale @ matrix if axis == "row" else matrix @ scale)
        if set(axes) <= set(_sums_to_one(matrix, 1e-14)):
            break
    return matrix
