"""Sweeps: places in the arguments of a run are marked, points made of them, run in groups, and laid into one table."""

__all__ = []
