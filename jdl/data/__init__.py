"""Data sets and their division over nodes: NumPy on the host, once, by seed."""

from jdl.data import load, partition
from jdl.data.load import Dataset
from jdl.data.partition import Partition

__all__ = ["Dataset", "Partition", "load", "partition"]
