"""Division of a data set over nodes. Every example goes to exactly one node.

Each rule only names the owner of every example; `table` turns owners into the padded table. A rule asks in its first
argument for what it needs of the data: `labels`, `features` or `owners`. What a partition is like is told by
`jdl.data.partition.report` and drawn by `jdl.draw_partition`.
"""

from jdl.data.partition.even import iid, stratified
from jdl.data.partition.feature import feature_skew
from jdl.data.partition.graph import along_graph
from jdl.data.partition.label_skew import classes_per_node, dirichlet, shards
from jdl.data.partition.mixtures import by_cluster, dirichlet_per_node
from jdl.data.partition.owners import by_owner
from jdl.data.partition.quantity import log_normal, power_law
from jdl.data.partition.table import Partition

__all__ = [
    "Partition",
    "along_graph",
    "by_cluster",
    "by_owner",
    "classes_per_node",
    "dirichlet",
    "dirichlet_per_node",
    "feature_skew",
    "iid",
    "log_normal",
    "power_law",
    "shards",
    "stratified",
]
