"""Methods of two levels: many local steps, whose sum is the gradient of an outer optimizer with momentum."""

__all__ = []
