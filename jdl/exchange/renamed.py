"""The names that exchanges had before each was spelled as its class; see `jdl.checks.renamed`."""

from __future__ import annotations

from jdl.compressors import HalfPrecision, TopK
from jdl.exchange.choco import Choco
from jdl.exchange.compress import Compressed
from jdl.exchange.per_module import PerModule

__all__ = ["RENAMED"]

RENAMED = {
    "Narrow": ("jdl.compressors.HalfPrecision", lambda dtype="bfloat16": Compressed(HalfPrecision(dtype))),
    "chebyshev": "jdl.exchange.Chebyshev",
    "choco": (
        "jdl.exchange.Choco(gamma, jdl.compressors.TopK(fraction))",
        lambda gamma=0.2, fraction=0.1: Choco(gamma, TopK(fraction)),
    ),
    "coordinate_median": "jdl.exchange.CoordinateMedian",
    "linear": "jdl.exchange.Linear",
    "lossy": "jdl.exchange.Lossy",
    "narrow": ("jdl.compressors.HalfPrecision", lambda dtype="bfloat16": Compressed(HalfPrecision(dtype))),
    "per_module": ("jdl.exchange.PerModule.of", PerModule.of),
    "repeated": "jdl.exchange.Repeated",
    "sign_flip": "jdl.exchange.SignFlip",
    "top_k": ("jdl.compressors.TopK", lambda fraction=0.1: Compressed(TopK(fraction))),
    "trimmed_mean": "jdl.exchange.TrimmedMean",
    "variance_corrected": "jdl.exchange.VarianceCorrected",
}
