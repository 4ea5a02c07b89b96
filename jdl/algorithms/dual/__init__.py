"""Primal-dual methods: the models of neighbours are constrained to be equal, and nodes keep multipliers for it."""

__all__ = []
