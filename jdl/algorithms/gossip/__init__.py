"""Averaging with neighbours, and a step along one's own gradient, in one order or the other; and what the step is.

Where data differ between nodes, a constant rate leaves a bias: nodes settle near the optimum, not at it.
"""

__all__ = []
