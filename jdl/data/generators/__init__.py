"""Data sets that are drawn from a seed; `truth` holds the quantities from which they were drawn.

A learner can be compared with this truth. Each generator can be called without arguments.
"""

from jdl.data.generators.clusters import clustered_concepts
from jdl.data.generators.drift import drifting_concepts
from jdl.data.generators.federated import synthetic
from jdl.data.generators.mixture import gaussian_mixture
from jdl.data.generators.network import teacher
from jdl.data.generators.shifts import permuted_clients, rotated_clients
from jdl.data.generators.sparse import sparse_logistic
from jdl.data.generators.tasks import related_tasks

__all__ = [
    "clustered_concepts",
    "drifting_concepts",
    "gaussian_mixture",
    "permuted_clients",
    "related_tasks",
    "rotated_clients",
    "sparse_logistic",
    "synthetic",
    "teacher",
]
