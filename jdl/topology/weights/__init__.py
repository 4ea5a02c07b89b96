"""Mixing weights: by a named scheme, from your own matrix, or from files. `jdl.topology` exports them."""

__all__ = []
