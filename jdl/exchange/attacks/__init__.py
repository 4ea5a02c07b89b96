"""Attackers: nodes that send something other than their message.

The roles of the simulation say who lies. Attacks see the honest messages of the round, and those who lie keep their own
true message for themselves.
"""

from jdl.exchange.attacks.alie import ALIE
from jdl.exchange.attacks.constant import Constant
from jdl.exchange.attacks.dissensus import Dissensus
from jdl.exchange.attacks.dmpa import DMPA
from jdl.exchange.attacks.false_degree import FalseDegree
from jdl.exchange.attacks.free_rider import FreeRider
from jdl.exchange.attacks.gaussian import Gaussian
from jdl.exchange.attacks.inner_product import InnerProduct
from jdl.exchange.attacks.mimic import Mimic
from jdl.exchange.attacks.min_max import MinMax
from jdl.exchange.attacks.min_sum import MinSum
from jdl.exchange.attacks.model_replacement import ModelReplacement
from jdl.exchange.attacks.sign_flip import SignFlip
from jdl.exchange.attacks.spectral import Spectral
from jdl.exchange.attacks.strongest import Strongest
from jdl.exchange.attacks.sybil import Sybil
from jdl.exchange.attacks.zero import Zero

__all__ = [
    "ALIE",
    "Constant",
    "DMPA",
    "Dissensus",
    "FalseDegree",
    "FreeRider",
    "Gaussian",
    "InnerProduct",
    "Mimic",
    "MinMax",
    "MinSum",
    "ModelReplacement",
    "SignFlip",
    "Spectral",
    "Strongest",
    "Sybil",
    "Zero",
]
