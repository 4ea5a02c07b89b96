"""Methods without rounds: a node acts when it is done, whatever the others do.

They run on `jdl.schedule.Waves`, which plans events in seconds, and on any other schedule between peers: then each node
that works in a round acts in it.
"""

__all__ = []
