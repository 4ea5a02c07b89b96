"""Oracles: the answers that a node obtains from its data, and wrappers that change them, `oracle=[A(), B()]`."""

from jdl import checks
from jdl.oracle.backdoor import Backdoor
from jdl.oracle.constrain_and_scale import ConstrainAndScale
from jdl.oracle.data_oracle import DataOracle
from jdl.oracle.dba import DBA
from jdl.oracle.edge_case import EdgeCase
from jdl.oracle.gradient_noise import GradientNoise
from jdl.oracle.label_flip import LabelFlip
from jdl.oracle.private_gradients import PrivateGradients
from jdl.oracle.stack import ALWAYS, answers, as_oracle, stack_oracles
from jdl.oracle.stragglers import Stragglers
from jdl.oracle.zeroth_order import ZerothOrder

__all__ = [
    "ALWAYS",
    "Backdoor",
    "ConstrainAndScale",
    "DBA",
    "DataOracle",
    "EdgeCase",
    "GradientNoise",
    "LabelFlip",
    "PrivateGradients",
    "Stragglers",
    "ZerothOrder",
    "answers",
    "as_oracle",
    "stack_oracles",
]

checks.name_fields(__name__)
checks.renamed(__name__, {"Minibatch": "jdl.oracle.DataOracle"})
