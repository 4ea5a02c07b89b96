"""Graphs with one fixed W, and their building blocks. `jdl.topology` exports them."""

__all__ = []
