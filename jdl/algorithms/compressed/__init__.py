"""Methods that compress what they send and hold what the compression left out, as a part of the method itself."""

__all__ = []
