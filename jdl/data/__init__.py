"""Data sets and their partition over nodes, in NumPy on the host, from a seed."""

from jdl import checks
from jdl.data import generators, partition
from jdl.data.dataset import Dataset
from jdl.data.load import load, names
from jdl.data.partition import Partition, report

__all__ = ["Dataset", "Partition", "generators", "load", "names", "partition", "report"]

checks.renamed(__name__, {"picture": ("jdl.show.partition_picture", None)})
