"""Division of a data set over nodes. Every example goes to exactly one node, but for `Soft`, which shares them.

A rule is an object, `Dirichlet(alpha=0.1)`, which is called with the data, the number of nodes and a seed. Each rule
only names the owner of every example; `table` turns owners into the padded table. A rule asks in the first argument of
its call for what it needs of the data: `labels`, `features` or `owners`. What a partition is like is told by
`jdl.data.partition.report` and drawn by `jdl.draw_partition`.
"""

from jdl import checks
from jdl.data.partition.even import IID, Stratified
from jdl.data.partition.feature import FeatureSkew
from jdl.data.partition.graph import AlongGraph
from jdl.data.partition.label_skew import ClassesPerNode, Dirichlet, Shards
from jdl.data.partition.mixtures import ByCluster, DirichletPerNode
from jdl.data.partition.owners import ByOwner
from jdl.data.partition.quantity import LogNormal, PowerLaw
from jdl.data.partition.renamed import RENAMED
from jdl.data.partition.soft import Soft
from jdl.data.partition.table import Partition

__all__ = [
    "AlongGraph",
    "ByCluster",
    "ByOwner",
    "ClassesPerNode",
    "Dirichlet",
    "DirichletPerNode",
    "FeatureSkew",
    "IID",
    "LogNormal",
    "Partition",
    "PowerLaw",
    "Shards",
    "Soft",
    "Stratified",
]

checks.renamed(__name__, RENAMED)
