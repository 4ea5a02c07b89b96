"""The command line: flags derived from typed Python, the record of a run as JSON, and the list of what exists."""

__all__ = []
