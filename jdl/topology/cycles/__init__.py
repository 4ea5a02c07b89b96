"""Graphs that change every round in a fixed cycle, with a `Topology` for each phase. `jdl.topology` exports them."""

__all__ = []
