"""Models by name, built for the number of classes, words or users of a data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jdl import checks, models
from jdl.data import Dataset
from jdl.data.readers.pixels import channels_first

__all__ = ["MODELS", "Fit", "fit", "kind_of", "say_scale"]

# Features are badly scaled if the standard deviation of one is above WIDE, or above TIMES_WIDER times the median.
WIDE, TIMES_WIDER = 100, 1000


class Fit(NamedTuple):
    """How to build a model for a data set.

    Args:
      kinds: the kinds of data that the model takes.
      make: builds the model for a data set.
    """

    kinds: tuple[str, ...]
    make: Callable[[Dataset], Any]


def _classes(model: Any, **fields: Any) -> Callable[[Dataset], Any]:
    return lambda data: model(classes=data.num_classes or 1, **fields)  # real targets have one output


def _text(model: Any, **fields: Any) -> Callable[[Dataset], Any]:
    return lambda data: model(vocab=data.num_classes, **fields)


def _transformer(data: Dataset) -> Any:
    return models.Transformer(vocab=data.num_classes, max_length=data.train_x.shape[1])


def _ratings(data: Dataset) -> Any:
    users, items = len(data.truth["users"]), len(data.truth["items"])
    return models.MatrixFactorization(users, items, mean=float(data.train_y.mean()))


VECTORS, IMAGES, TEXT, WORDS, RATINGS = "features", "images", "text", "sentences", "ratings"

MODELS: dict[str, Fit] = {
    "linear": Fit((VECTORS, IMAGES), _classes(models.Linear)),
    "mlp": Fit((VECTORS, IMAGES), _classes(models.MLP, hidden=(32,))),
    "2nn": Fit((VECTORS, IMAGES), _classes(models.MLP, hidden=(200, 200))),
    "lenet": Fit((IMAGES,), _classes(models.LeNet)),
    "cnn": Fit((IMAGES,), _classes(models.McMahanCNN)),
    "gn_lenet": Fit((IMAGES,), _classes(models.GNLeNet)),
    "resnet8": Fit((IMAGES,), _classes(models.ResNet8)),
    "resnet18": Fit((IMAGES,), _classes(models.ResNet18)),
    "resnet20": Fit((IMAGES,), _classes(models.ResNet20)),
    "lstm": Fit((TEXT,), _text(models.CharLSTM)),
    "gru": Fit((TEXT,), _text(models.CharGRU)),
    "transformer": Fit((TEXT,), _transformer),
    "transformer_lora": Fit((TEXT,), lambda data: models.LoRA(_transformer(data))),
    "bag_of_words": Fit((WORDS,), lambda data: models.BagOfWords(len(data.truth["vocabulary"]), data.num_classes)),
    "matrix_factorization": Fit((RATINGS,), _ratings),
}

USUAL = {VECTORS: "mlp", IMAGES: "lenet", TEXT: "transformer", WORDS: "bag_of_words", RATINGS: "matrix_factorization"}


def kind_of(data: Dataset) -> str:
    """The kind of the examples of a data set, from their shapes and types."""
    x, y = data.train_x, data.train_y
    if x.ndim == 4:
        return IMAGES
    if x.dtype.kind == "f" or x.dtype == np.uint8:  # bytes are pixels
        return VECTORS
    if y.dtype.kind == "f":
        return RATINGS
    return TEXT if y.ndim == 2 else WORDS


def fit(data: Dataset, model: str | Any | None = None) -> tuple[Any, Dataset]:
    """Build the model of a name for a data set, and bring the data into the shape that it takes.

    Args:
      data: the data set.
      model: a name in `MODELS`; None for the usual model of this kind of data; or a model, which stays as it is.

    Returns:
      The model and the data.

    Raises:
      InputError: if the name is unknown, if the model is for another kind of data, or if the data set lacks the list of
        its words, users or items.
    """
    kind = kind_of(data)
    if model is not None and not isinstance(model, str):
        return model, data
    name = USUAL[kind] if model is None else checks.known("model", model, MODELS)
    fitting = [other for other, entry in MODELS.items() if kind in entry.kinds]
    turned = kind == IMAGES and channels_first(data.train_x.shape)
    got = f"got images of {data.train_x.shape} in {data.name}, channels first"
    checks.require(not turned, f"{got}, need [N, height, width, channels]; try np.moveaxis(x, 1, -1)")
    checks.require(
        name in fitting,
        f"got model {name!r} for {data.name}, whose examples are {kind}; need one of {', '.join(fitting)}; "
        f"try model={USUAL[kind]!r}",
    )
    lists = {WORDS: ("vocabulary",), RATINGS: ("users", "items")}.get(kind, ())
    lacking = " and ".join(repr(key) for key in lists if key not in (data.truth or {}))
    checks.require(
        not lacking,
        f"got {data.name}, whole numbers that are read as {kind}, without a list of {lacking} in data.truth, need it "
        f"for the size of model {name!r}; add it, give a model of your own, or features as floats: "
        "x.astype(np.float32)",
    )
    return MODELS[name].make(data), _flat(data) if VECTORS in MODELS[name].kinds else data


def say_scale(data: Dataset) -> None:
    """Warn of features on very different or very large scales: no step size suits all of them.

    Args:
      data: the data set.
    """
    x = data.train_x
    if kind_of(data) != VECTORS or x.dtype.kind != "f" or x.ndim != 2:
        return
    spread = np.std(x, axis=0, dtype=np.float64)
    varying = spread[spread > 0]
    if varying.size and (varying.max() > WIDE or varying.max() > TIMES_WIDER * np.median(varying)):
        widest = int(np.argmax(spread))
        checks.note(
            f"features of {data.name} vary by {varying.min():.3g} (standard deviation) to {varying.max():.3g} (feature "
            f"{widest}); gradient steps cannot suit all of them; scale them first: (x - x.mean(0)) / x.std(0)"
        )


def _flat(data: Dataset) -> Dataset:
    """Images as rows of pixels, grey images f[N, H, W] included."""
    train_x, test_x = (x.reshape(len(x), -1) for x in (data.train_x, data.test_x))
    return data._replace(train_x=train_x, test_x=test_x)
