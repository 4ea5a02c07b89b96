"""Pictures and tables of runs, graphs and partitions, made from data that exist: nothing here runs a simulation."""

__all__ = []
