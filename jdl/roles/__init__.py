"""Who is who in a simulation: which nodes are honest, and the group that each node belongs to.

The roles belong to the simulation. Attacks, oracles, metrics and schedules all read the same ones.
"""

from jdl.roles.roles import attacking, draw, everybody_honest, of
from jdl.types import Roles

__all__ = ["Roles", "attacking", "draw", "everybody_honest", "of"]
