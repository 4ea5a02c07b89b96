"""All data sets in files and all formats, collected from the modules that read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jdl.data.dataset import Dataset
from jdl.data.readers import cifar, idx, images, leaf, libsvm, movielens, npz, tables, text
from jdl.data.readers.source import Source

__all__ = ["FORMATS", "SOURCES"]

# Data sets by name.
SOURCES: dict[str, Source] = {
    name: source
    for module in (idx, cifar, images, npz, libsvm, text, tables, leaf, movielens)
    for name, source in module.SOURCES.items()
}

# The reader of each format, for names such as "npz:PATH".
FORMATS: dict[str, Callable[[Path], Dataset]] = {
    "images": images.read_any,
    "leaf": leaf.read_any,
    "libsvm": libsvm.read_any,
    "movielens": movielens.read_any,
    "npz": npz.read_any,
    "table": tables.read_any,
    "text": text.read_any,
}
