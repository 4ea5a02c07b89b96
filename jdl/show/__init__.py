"""Pictures and tables of runs, graphs and partitions. They take arrays, graphs and partitions, and run nothing."""

__all__ = []
