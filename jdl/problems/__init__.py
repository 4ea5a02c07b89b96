"""What the nodes learn: the data of `n` nodes and a loss. Names in lower case build one, from `nodes=` on."""

from jdl.problems.logistic import Logistic, logistic
from jdl.problems.optimum import Optimum
from jdl.problems.quadratic import Quadratic, quadratic
from jdl.problems.supervised import Supervised, digits

__all__ = ["Logistic", "Optimum", "Quadratic", "Supervised", "digits", "logistic", "quadratic"]
