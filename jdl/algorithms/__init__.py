"""The methods, each written for one node in a file of its own. To add one: copy a file, fill it, export it here."""

from jdl.algorithms.aug_dgm import AugDGM
from jdl.algorithms.d2 import D2
from jdl.algorithms.dgd import DGD
from jdl.algorithms.dpsgd import DPSGD
from jdl.algorithms.exact_diffusion import ExactDiffusion
from jdl.algorithms.fedavg import FedAvg
from jdl.algorithms.gradient_tracking import GradientTracking
from jdl.algorithms.local_only import LocalOnly
from jdl.algorithms.push_sum import PushSum

__all__ = ["D2", "DGD", "DPSGD", "AugDGM", "ExactDiffusion", "FedAvg", "GradientTracking", "LocalOnly", "PushSum"]
