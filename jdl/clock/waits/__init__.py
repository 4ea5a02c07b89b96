"""For whom a server waits."""

__all__ = []
