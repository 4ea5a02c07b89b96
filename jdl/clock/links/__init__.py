"""How long messages travel."""

__all__ = []
