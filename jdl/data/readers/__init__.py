"""Readers of files, one module for each format, and the search, check, unpacking and cache of files."""

__all__ = []
