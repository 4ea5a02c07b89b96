"""For whom a server waits, or a peer."""

__all__ = []
