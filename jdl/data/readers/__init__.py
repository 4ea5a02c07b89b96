"""Readers of files, one module for each format; how files are found, checked, unpacked and kept once read."""

__all__ = []
