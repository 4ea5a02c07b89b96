"""The rules of a partition by their names, for a command line and for `partition="dirichlet"`."""

from __future__ import annotations

from jdl.data.partition.even import IID, Stratified
from jdl.data.partition.feature import FeatureSkew
from jdl.data.partition.graph import AlongGraph
from jdl.data.partition.label_skew import ClassesPerNode, Dirichlet, Shards
from jdl.data.partition.mixtures import ByCluster, DirichletPerNode
from jdl.data.partition.owners import ByOwner
from jdl.data.partition.quantity import LogNormal, PowerLaw
from jdl.data.partition.soft import Soft

__all__ = ["RULES"]

RULES: dict[str, type] = {
    "along_graph": AlongGraph,
    "by_cluster": ByCluster,
    "by_owner": ByOwner,
    "classes_per_node": ClassesPerNode,
    "dirichlet": Dirichlet,
    "dirichlet_per_node": DirichletPerNode,
    "feature_skew": FeatureSkew,
    "iid": IID,
    "log_normal": LogNormal,
    "power_law": PowerLaw,
    "shards": Shards,
    "soft": Soft,
    "stratified": Stratified,
}
