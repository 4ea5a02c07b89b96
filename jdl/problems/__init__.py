"""What the nodes learn: the data of `n` nodes and a loss. Names in lower case build one, from `nodes=` on."""

from jdl import checks
from jdl.problems import named, offers
from jdl.problems.digits import digits
from jdl.problems.fitting import MODELS
from jdl.problems.from_data import supervised
from jdl.problems.logistic import Logistic, logistic
from jdl.problems.logistic_regression import logistic_regression
from jdl.problems.named import (
    a9a,
    agaricus,
    cifar10,
    cifar10_jpeg,
    cifar100,
    emnist_balanced,
    fashion_mnist,
    femnist,
    ijcnn1,
    kmnist,
    mnist,
    movielens_100k,
    mushrooms,
    shakespeare,
    sst2,
    w8a,
)
from jdl.problems.optimum import Optimum
from jdl.problems.quadratic import Quadratic, quadratic
from jdl.problems.supervised import PRECISIONS, SAMPLING, Supervised

__all__ = [
    "Logistic",
    "MODELS",
    "Optimum",
    "PRECISIONS",
    "Quadratic",
    "SAMPLING",
    "Supervised",
    "a9a",
    "agaricus",
    "cifar10",
    "cifar100",
    "cifar10_jpeg",
    "digits",
    "emnist_balanced",
    "fashion_mnist",
    "femnist",
    "ijcnn1",
    "kmnist",
    "logistic",
    "logistic_regression",
    "mnist",
    "movielens_100k",
    "mushrooms",
    "named",
    "offers",
    "quadratic",
    "shakespeare",
    "sst2",
    "supervised",
    "w8a",
]

checks.name_fields(__name__)
checks.renamed(__name__, {"learn": "jdl.problems.supervised", "regress": "jdl.problems.logistic_regression"})
