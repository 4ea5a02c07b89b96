"""What theory predicts: from a graph, from the constants of a problem, or exactly; see the page of this folder."""

from jdl.theory import bounds
from jdl.theory.asking import node_gradients
from jdl.theory.backups import backup_workers, expected_gains
from jdl.theory.beside import Factors, factors_beside
from jdl.theory.consensus import Transient, limit_weights, second_modulus, sigma_2, transient
from jdl.theory.curvature import smoothness, strong_convexity
from jdl.theory.estimates import (
    GradientNoise,
    NeighbourhoodHeterogeneity,
    gradient_diversity,
    gradient_noise,
    heterogeneity,
    neighbourhood_heterogeneity,
)
from jdl.theory.experts import LiveExperts, live_experts
from jdl.theory.finite import finite_time, finite_time_steps
from jdl.theory.fitted import FittedRate, fitted_rate
from jdl.theory.linear import Prediction, StableRates, Stationary, predict, stable_rates, stationary
from jdl.theory.matchings import matcha_seconds
from jdl.theory.outcomes import Outcome, contraction_of_outcomes, effective_neighbours_of_outcomes, outcomes
from jdl.theory.pace import ReconnectWindow, reconnect_window
from jdl.theory.parallel import ddp_seconds, pipeline_seconds
from jdl.theory.random_schedules import lossy_contraction, random_contraction
from jdl.theory.rates import QuadraticRate, best_quadratic_rate, predicted_rounds, quadratic_rate, rounds_to_shrink
from jdl.theory.realised import Realised, realised_gap, realised_rounds
from jdl.theory.shares import all_reduce_seconds, all_reduce_shares
from jdl.theory.time import cycle_time, kth_of_exponentials, maximum_cycle_mean, ring_all_reduce_seconds
from jdl.theory.training_roles import TrainingRoles, training_roles
from jdl.theory.waits import expected_waits

__all__ = [
    "Factors",
    "FittedRate",
    "GradientNoise",
    "LiveExperts",
    "NeighbourhoodHeterogeneity",
    "Outcome",
    "Prediction",
    "QuadraticRate",
    "Realised",
    "StableRates",
    "ReconnectWindow",
    "Stationary",
    "TrainingRoles",
    "Transient",
    "all_reduce_seconds",
    "all_reduce_shares",
    "backup_workers",
    "best_quadratic_rate",
    "bounds",
    "contraction_of_outcomes",
    "cycle_time",
    "ddp_seconds",
    "effective_neighbours_of_outcomes",
    "expected_gains",
    "expected_waits",
    "factors_beside",
    "finite_time",
    "finite_time_steps",
    "fitted_rate",
    "gradient_diversity",
    "gradient_noise",
    "heterogeneity",
    "kth_of_exponentials",
    "limit_weights",
    "live_experts",
    "lossy_contraction",
    "matcha_seconds",
    "maximum_cycle_mean",
    "neighbourhood_heterogeneity",
    "node_gradients",
    "outcomes",
    "pipeline_seconds",
    "predict",
    "predicted_rounds",
    "quadratic_rate",
    "random_contraction",
    "realised_gap",
    "realised_rounds",
    "reconnect_window",
    "ring_all_reduce_seconds",
    "rounds_to_shrink",
    "second_modulus",
    "sigma_2",
    "smoothness",
    "stable_rates",
    "stationary",
    "strong_convexity",
    "training_roles",
    "transient",
]
