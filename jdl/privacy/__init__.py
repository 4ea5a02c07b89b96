"""What noise is worth: budgets of (epsilon, delta), and what each node of a network learns of each other one.

Numbers on the host; the noise itself is added by `jdl.oracle.PrivateGradients` and by exchanges such as
`jdl.exchange.MessageNoise` and `jdl.exchange.ClientPrivacy`. `epsilon` and `noise_multiplier` need dp-accounting, the
extra `privacy`.
"""

from jdl.privacy.budget import SAMPLING, epsilon, noise_multiplier, renyi
from jdl.privacy.gaussian import delta_of_mu, epsilon_of_mu
from jdl.privacy.membership import auc_bound
from jdl.privacy.pairwise import decor_mu, muffliato_renyi, pairwise_mu
from jdl.privacy.quantised import rqm_pmf, rqm_renyi

__all__ = [
    "SAMPLING",
    "auc_bound",
    "decor_mu",
    "delta_of_mu",
    "epsilon",
    "epsilon_of_mu",
    "muffliato_renyi",
    "noise_multiplier",
    "pairwise_mu",
    "renyi",
    "rqm_pmf",
    "rqm_renyi",
]
