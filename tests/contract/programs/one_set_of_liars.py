"""One set of liars: the nodes that learn from flipped labels also send their model with the wrong sign.

`roles` says once who is dishonest. The oracle `LabelFlip` and the exchange `SignFlip` read it, and the metrics are
those of the honest nodes alone. Nodes aggregate by a rule: the mean, or the median of each coordinate.

Sources: Biggio, Nelson, Laskov 2012, Poisoning Attacks against Support Vector Machines (labels); Blanchard, El Mhamdi,
Guerraoui, Stainer 2017, Machine Learning with Adversaries (signs); Yin, Chen, Ramchandran, Bartlett 2018,
Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates (medians).
"""

import jdl
from jdl.exchange import CoordinateMedian, SignFlip
from jdl.oracle import LabelFlip

RULES = {"mean": (), "median": (CoordinateMedian(),)}


def simulation(problem, graph, dishonest, rule="median", lr=0.1, poisoned=True, seed=0, **how):
    """D-PSGD among honest nodes and liars.

    Args:
      problem: a classification problem of n nodes.
      graph: who talks.
      dishonest: the number of liars, drawn from `seed`.
      rule: a key of `RULES`.
      lr: the step size.
      poisoned: whether the liars learn from flipped labels as well.
      seed: the seed of the run and of the draw.
      how: further arguments of `jdl.simulation`.
    """
    roles = jdl.roles.draw(problem.n, dishonest=dishonest, seed=seed)
    network = [*([SignFlip()] if dishonest else []), *RULES[rule]]
    oracle = [LabelFlip()] if poisoned else None
    algorithm = jdl.algorithms.DPSGD(lr=lr)
    return jdl.simulation(problem, algorithm, graph, network, oracle=oracle, roles=roles, seed=seed, **how)
