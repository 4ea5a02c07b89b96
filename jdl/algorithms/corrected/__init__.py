"""Methods that correct each node's step for the difference between its own data and the data of all nodes.

The family holds gradient tracking, and methods that are exact because they remember their last round (D2, EXTRA, exact
diffusion, NIDS). With full gradients they reach the optimum at a constant step size.
"""

__all__ = []
