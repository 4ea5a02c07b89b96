"""Attackers: nodes that send something else than their message. `jdl.exchange` exports them.

Who lies is said by the roles of the simulation. Attacks see the honest messages of the round, and those who lie keep
their own true message for themselves.
"""

__all__ = []
