"""Who is who in a simulation: which nodes are honest, and the group that each node belongs to.

The roles belong to the simulation. Attacks, oracles, metrics and schedules all read the same ones.
"""

from jdl.roles.placed import at_cut, hubs
from jdl.roles.roles import attacking, draw, everybody_honest, of
from jdl.roles.sybils import sybils
from jdl.types import Roles

__all__ = ["Roles", "at_cut", "attacking", "draw", "everybody_honest", "hubs", "of", "sybils"]
