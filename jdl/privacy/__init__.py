"""What noise is worth: budgets of (epsilon, delta), what each node of a network learns of each other one, and attacks.

Numbers on the host; the noise itself is added by `jdl.oracle.PrivateGradients` and by exchanges such as
`jdl.exchange.MessageNoise` and `jdl.exchange.ClientPrivacy`. `epsilon` and `noise_multiplier` need dp-accounting, the
extra `privacy`.
"""

from jdl.privacy.budget import SAMPLING, epsilon, noise_multiplier, renyi
from jdl.privacy.gaussian import delta_of_mu, epsilon_of_mu
from jdl.privacy.inversion import inverted
from jdl.privacy.lira import LIRA, halves, lira_scores, log_odds
from jdl.privacy.membership import auc_bound
from jdl.privacy.pairwise import decor_mu, muffliato_renyi, pairwise_mu
from jdl.privacy.quantised import rqm_pmf, rqm_renyi
from jdl.privacy.random_walk import random_walk_closed_form, random_walk_renyi, walk_mu
from jdl.privacy.roc import area, roc, true_rate
from jdl.privacy.rounds import rounds_mu

__all__ = [
    "LIRA",
    "SAMPLING",
    "area",
    "auc_bound",
    "decor_mu",
    "delta_of_mu",
    "epsilon",
    "epsilon_of_mu",
    "halves",
    "inverted",
    "lira_scores",
    "log_odds",
    "muffliato_renyi",
    "noise_multiplier",
    "pairwise_mu",
    "random_walk_closed_form",
    "random_walk_renyi",
    "renyi",
    "roc",
    "rounds_mu",
    "rqm_pmf",
    "rqm_renyi",
    "true_rate",
    "walk_mu",
]
