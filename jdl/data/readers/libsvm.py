"""LIBSVM's text format, `label index:value index:value ...` in each line, used in convex optimisation."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.held_out import classes, held_out
from jdl.data.readers.files import unpacked
from jdl.data.readers.source import Source

__all__ = ["SOURCES", "read", "read_any"]


def read(train: Path, test: Path | None = None, name: str | None = None, seed: int = 0) -> Dataset:
    """Dense features f32[N, d] of both files, as wide as the wider one; classes i32[N] in the order of their labels.

    Features are numbered from 1, or from 0 if a file has a feature 0. Labels of any coding (-1 and 1, 1 and 2, ...)
    become 0, 1, ...; `truth["labels"]` lists them in order.

    Args:
      train: training file.
      test: test file, or None, which holds out a fifth of each class.
      name: name of the data set; by default that of the file.
      seed: seed of the choice of test examples.

    Raises:
      InputError: if a file has another format, labels are not classes, or features do not fit in memory.
    """
    from sklearn.datasets import load_svmlight_files

    paths = [path for path in (train, test) if path is not None]
    files = " and ".join(str(path) for path in paths)
    contents = [io.BytesIO(unpacked(path)) for path in paths]
    try:
        read = load_svmlight_files(contents, dtype=np.float32)
    except (ValueError, OverflowError) as error:
        raise checks.InputError(
            f"got {files}, not in the format of LIBSVM ({error}); need lines `label index:value ...` with one "
            "label each and indices in rising order"
        ) from error
    matrices, labels = read[::2], read[1::2]
    rows, width = sum(matrix.shape[0] for matrix in matrices), matrices[0].shape[1]
    checks.require(min(matrix.shape[0] for matrix in matrices) > 0, f"got {files} without examples; get the file again")
    checks.fits(2 * 4 * rows * width, f"{files} of {rows} examples with {width} features each, as a dense array")
    checks.require(
        all(bool(np.all(part % 1 == 0)) for part in labels),
        f"got {files} with labels such as {next((x for y in labels for x in y if x % 1), 0)}, need whole numbers as "
        "classes; targets of regression are not read",
    )
    checks.require(
        all(bool(np.isfinite(matrix.data).all()) for matrix in matrices),
        f"got {files} with values that are not finite in 32 bits; scale the features, or leave those examples out",
    )
    features = [matrix.toarray() for matrix in matrices]
    test_part = test.name if test else "a fifth of each class"
    if test is None:
        held = held_out(labels[0], seed=seed)
        features, labels = [features[0][~held], features[0][held]], [labels[0][~held], labels[0][held]]
    train_y, test_y, coding = classes(*labels)
    return Dataset(
        *(features[0], train_y, features[1], test_y),
        num_classes=len(coding),
        name=name or train.name.removesuffix(".gz").removesuffix(".bz2"),
        source=f"{train.name} in LIBSVM's format; to test on: {test_part}.",
        truth={"labels": coding},
    )


def read_any(path: Path) -> Dataset:
    """Any file in the format, with a fifth of each class held out, regardless of files beside it: see `read`."""
    return read(path)


_PAGE = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary.html"


def _source(name: str, *files: tuple[str, ...], where: str = _PAGE, folders: tuple[str, ...] = ()) -> Source:
    return Source(files, partial(read, name=name), where, (*folders, "libsvm"))


SOURCES = {
    "a9a": _source("a9a", ("a9a", "a9a.txt"), ("a9a.t", "a9a.t.txt")),
    "w8a": _source("w8a", ("w8a", "w8a.txt"), ("w8a.t", "w8a.t.txt")),
    "ijcnn1": _source("ijcnn1", ("ijcnn1",), ("ijcnn1.t",)),
    "covtype": _source("covtype", ("covtype.libsvm.binary.scale", "covtype.libsvm.binary")),
    "phishing": _source("phishing", ("phishing", "phishing.txt")),
    # UCI's mushrooms in two copies: LIBSVM's has 112 features and no test part, XGBoost's has 126 and a test part.
    "mushrooms": _source(
        *("mushrooms", ("mushrooms", "mushrooms.txt")),
        where=f"{_PAGE} (or ask for 'agaricus', XGBoost's copy in files of other names)",
        folders=("mushroom",),
    ),
    "agaricus": _source(
        *("agaricus", ("agaricus.txt.train",), ("agaricus.txt.test",)),
        where="https://github.com/dmlc/xgboost/tree/master/demo/data",
        folders=("mushroom", "mushrooms"),
    ),
}
