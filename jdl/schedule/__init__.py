"""Who talks in which round: pure functions of the round and a key, on the device."""

from jdl.schedule.cyclic import Cyclic, cyclic
from jdl.schedule.fixed import Fixed, fixed
from jdl.schedule.matching import Matching, matching
from jdl.schedule.sampling import Sampling, sampling
from jdl.schedule.sleeping import Sleeping, sleeping

__all__ = [
    "Cyclic",
    "Fixed",
    "Matching",
    "Sampling",
    "Sleeping",
    "cyclic",
    "fixed",
    "matching",
    "sampling",
    "sleeping",
]
