"""Problems by the name of their data set: `mnist(nodes=100)` is `supervised("mnist", nodes=100)`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from jdl.problems.from_data import supervised
from jdl.problems.logistic_regression import logistic_regression

__all__ = [
    "DATA_SETS",
    "a9a",
    "agaricus",
    "cifar10",
    "cifar100",
    "cifar10_jpeg",
    "emnist_balanced",
    "fashion_mnist",
    "femnist",
    "ijcnn1",
    "kmnist",
    "mnist",
    "movielens_100k",
    "mushrooms",
    "shakespeare",
    "sst2",
    "w8a",
]

Problem = Callable[..., Any]


class DataSet(NamedTuple):
    """A data set as a problem.

    summary: what is learnt of it, in one line.
    make: the function that makes the problem; it takes the name of the data set first.
    defaults: its arguments that have other defaults with this data set.
    """

    summary: str
    make: Problem
    defaults: dict[str, Any] = {}  # noqa: RUF012 (never written to)


DATA_SETS = {
    "mnist": DataSet("Handwritten digits, 60,000 images of 28x28 pixels.", supervised),
    "fashion_mnist": DataSet("Clothes in ten classes, 60,000 images of 28x28 pixels.", supervised),
    "kmnist": DataSet("Cursive Japanese characters in ten classes, 60,000 images of 28x28 pixels.", supervised),
    "emnist_balanced": DataSet("Handwritten letters and digits in 47 classes, 28x28 pixels.", supervised),
    "femnist": DataSet(
        "Handwritten characters in 62 classes, each by its writer (LEAF).", supervised, {"partition": "by_owner"}
    ),
    "cifar10": DataSet("Photographs in ten classes, 50,000 of 32x32 pixels.", supervised, {"model": "gn_lenet"}),
    "cifar10_jpeg": DataSet(
        "CIFAR-10 after lossy compression, in a zip of folders.", supervised, {"model": "gn_lenet"}
    ),
    "cifar100": DataSet("Photographs in 100 classes, 50,000 of 32x32 pixels.", supervised, {"model": "gn_lenet"}),
    "shakespeare": DataSet(
        "The next character in lines of Shakespeare, each by its speaker.", supervised, {"partition": "by_owner"}
    ),
    "sst2": DataSet("Whether a sentence about a film is favourable, from its words.", supervised),
    "movielens_100k": DataSet(
        "What users think of films, 100,000 ratings, by user.", supervised, {"partition": "by_owner"}
    ),
    "a9a": DataSet("Who earns more than 50,000 dollars: convex, 32,561 examples of 123 features.", logistic_regression),
    "mushrooms": DataSet("Which mushrooms are poisonous: convex, 8,124 examples of 112 features.", logistic_regression),
    "agaricus": DataSet("Which mushrooms are poisonous: convex, 6,513 examples of 126 features.", logistic_regression),
    "w8a": DataSet(
        "Which web pages are of one category: convex, 49,749 examples of 300 features.", logistic_regression
    ),
    "ijcnn1": DataSet("When a generator misfires: convex, 49,990 examples of 22 features.", logistic_regression),
}


def _problem(name: str) -> Problem:
    """The function that makes the problem of one data set: `make` without `data`, with the defaults of the table."""
    row = DATA_SETS[name]
    signature = inspect.signature(row.make)

    @functools.wraps(row.make)
    def problem(nodes: int = signature.parameters["nodes"].default, **options: Any) -> Any:
        return row.make(name, nodes, **row.defaults | options)

    own = [one for one in signature.parameters.values() if one.name != "data"]
    own = [one.replace(default=row.defaults.get(one.name, one.default)) for one in own]
    problem.__name__ = problem.__qualname__ = name
    problem.__module__ = __name__
    problem.__signature__ = signature.replace(parameters=own)
    usual = "".join(f", and by default {option}={value!r}" for option, value in row.defaults.items())
    arguments = f"The arguments are those of `jdl.problems.{row.make.__name__}` without `data`{usual}."
    problem.__doc__ = f"{row.summary}\n\n    {arguments}\n    "
    return problem


a9a = _problem("a9a")
agaricus = _problem("agaricus")
cifar10 = _problem("cifar10")
cifar100 = _problem("cifar100")
cifar10_jpeg = _problem("cifar10_jpeg")
emnist_balanced = _problem("emnist_balanced")
fashion_mnist = _problem("fashion_mnist")
femnist = _problem("femnist")
ijcnn1 = _problem("ijcnn1")
kmnist = _problem("kmnist")
mnist = _problem("mnist")
movielens_100k = _problem("movielens_100k")
mushrooms = _problem("mushrooms")
shakespeare = _problem("shakespeare")
sst2 = _problem("sst2")
w8a = _problem("w8a")
