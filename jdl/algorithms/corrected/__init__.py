"""Methods that correct each node's step for the difference between its data and the others' data.

Gradient tracking, and methods that are exact by the memory of their last round (D2, EXTRA, exact diffusion,
NIDS). With full gradients they reach the optimum at a constant rate.
"""

__all__ = []
