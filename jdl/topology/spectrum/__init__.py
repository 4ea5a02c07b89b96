"""Properties of a graph: eigenvalues, periods, effective neighbours, distances. `jdl.topology` exports them."""

__all__ = []
