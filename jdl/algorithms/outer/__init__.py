"""Many local steps between two exchanges, whose sum is the gradient of an outer optimizer with momentum."""

__all__ = []
