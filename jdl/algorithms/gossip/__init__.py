"""Each node averages models with its neighbours and takes a step along its own gradient.

The methods differ in the order of the two, and in the step: plain, with momentum, adaptive, or sharpness-aware.

A constant step size leaves a bias where data differ between nodes: the nodes settle near the optimum, not at it.
"""

__all__ = []
