"""A run from parts to its result: checked, compiled, recorded, saved, resumed, compared."""

__all__ = []
