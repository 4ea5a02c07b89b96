"""How long one step of a node takes."""

__all__ = []
