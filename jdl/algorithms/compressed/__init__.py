"""Methods in which compression, and the memory that corrects its error, are a part of the method itself."""

__all__ = []
