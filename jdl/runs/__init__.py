"""Runs: parts are composed and checked, then run, recorded, saved, resumed and compared."""

__all__ = []
