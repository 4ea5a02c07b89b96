"""Metrics: pure functions of models, computed in the compiled loop at evaluation rounds only.

`measure` has the built-in ones, `users` those that a user hands over by name, `metrics={"name": function}`. Functions
`(models, state, simulation)` are ready-made ones to hand over:

- `balanced_accuracy`, `calibration_error` (or `calibration(bins)`): a number for each node;
- `attack_success`: for each node, how often a backdoor works;
- `ensemble_accuracy`, `disagreement`: one number of all peers together;
- `before_mixing(of)`: a metric of the models after the local step and before the exchange of the next round;
- `gradients`, `hessian_products`, `prox_calls`: what each node has asked of its data so far;
- `energy(seconds_per_step, watts, joules_per_bit)`: joules, for schedules that were planned in time.

They are of all nodes, also where a run evaluates a sample of them (`eval_nodes`), and cost as much as its evaluation of
all nodes. `confusion(models, simulation)` gives a table for each model, for use after a run.
"""

from jdl.engine.metrics.attack_success import attack_success
from jdl.engine.metrics.before_mixing import before_mixing, models_before_mixing
from jdl.engine.metrics.built_in import measure, models_at_once
from jdl.engine.metrics.chosen import BUILT_IN, COLUMNS, EVALUATED, PER_NODE, Metrics
from jdl.engine.metrics.counters import gradients, hessian_products, prox_calls
from jdl.engine.metrics.each_model import balanced_accuracy, calibration, calibration_error, confusion
from jdl.engine.metrics.energy import energy
from jdl.engine.metrics.peers_together import disagreement, ensemble_accuracy
from jdl.engine.metrics.statistics import consensus_distance
from jdl.engine.metrics.users import users

__all__ = [
    "BUILT_IN",
    "COLUMNS",
    "EVALUATED",
    "PER_NODE",
    "Metrics",
    "attack_success",
    "balanced_accuracy",
    "before_mixing",
    "calibration",
    "calibration_error",
    "confusion",
    "consensus_distance",
    "disagreement",
    "energy",
    "ensemble_accuracy",
    "gradients",
    "hessian_products",
    "measure",
    "models_at_once",
    "models_before_mixing",
    "prox_calls",
    "users",
]
