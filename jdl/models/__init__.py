"""Flax modules without batch statistics: what differs between nodes is parameters alone."""

from jdl.models.dense import MLP, Linear

__all__ = ["MLP", "Linear"]
