"""The compiled loop: state, one round, metrics, how nodes are mapped and placed. It imports the contract alone."""

__all__ = []
