"""Primal-dual methods: agreement of neighbours is a constraint, and each node keeps multipliers for it."""

__all__ = []
