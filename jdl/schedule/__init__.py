"""Who talks in which round: pure functions of memory, round and key, on the device.

A schedule is spelled as its class. Where its fields must be computed first, a class method does so: `of` from a
topology (or several), `for_nodes` from the number of nodes.
"""

from jdl import checks
from jdl.schedule.affinity import Affinity
from jdl.schedule.arrivals import Arrivals
from jdl.schedule.asynchronous_pairs import AsynchronousPairs
from jdl.schedule.availability import Availability
from jdl.schedule.churn import Churn
from jdl.schedule.communication import FinalMerge, Windowed
from jdl.schedule.compass import Compass
from jdl.schedule.crashes import Crashes
from jdl.schedule.cyclic import Cyclic
from jdl.schedule.cyclic_sampling import CyclicSampling
from jdl.schedule.disaster import Disaster
from jdl.schedule.diurnal import Diurnal
from jdl.schedule.epidemic import Epidemic
from jdl.schedule.epidemic_local import EpidemicLocal
from jdl.schedule.equidyn import Equidyn
from jdl.schedule.event_triggered import EventTriggered
from jdl.schedule.failing_groups import FailingGroups
from jdl.schedule.fixed import Fixed
from jdl.schedule.gilbert_elliott import GilbertElliott
from jdl.schedule.hierarchy import Hierarchy
from jdl.schedule.importance import Importance
from jdl.schedule.matcha import Matcha
from jdl.schedule.matching import Matching
from jdl.schedule.messages import Messages
from jdl.schedule.mobility import Mobility
from jdl.schedule.modest import Modest
from jdl.schedule.moshpit import Moshpit
from jdl.schedule.pairwise import Pairwise
from jdl.schedule.partition import Partition
from jdl.schedule.peer_swap import PeerSwap
from jdl.schedule.poisson_sampling import PoissonSampling
from jdl.schedule.power_of_choice import PowerOfChoice
from jdl.schedule.preferred import Preferred
from jdl.schedule.random_groups import RandomGroups
from jdl.schedule.random_neighbours import RandomNeighbours
from jdl.schedule.random_walk import RandomWalk
from jdl.schedule.renamed import RENAMED
from jdl.schedule.sampling import Sampling
from jdl.schedule.sampling_with_replacement import SamplingWithReplacement
from jdl.schedule.sleeping import Sleeping
from jdl.schedule.target_batch import TargetBatch
from jdl.schedule.teleportation import Teleportation
from jdl.schedule.ticks import Ticks
from jdl.schedule.trace_files import read_trace
from jdl.schedule.traced import Traced
from jdl.schedule.waves import Waves

__all__ = [
    "Affinity",
    "Arrivals",
    "AsynchronousPairs",
    "Availability",
    "Churn",
    "Compass",
    "Crashes",
    "Cyclic",
    "CyclicSampling",
    "Disaster",
    "Diurnal",
    "Epidemic",
    "EpidemicLocal",
    "Equidyn",
    "EventTriggered",
    "FailingGroups",
    "FinalMerge",
    "Fixed",
    "GilbertElliott",
    "Hierarchy",
    "Importance",
    "Matcha",
    "Matching",
    "Messages",
    "Mobility",
    "Modest",
    "Moshpit",
    "Pairwise",
    "Partition",
    "PeerSwap",
    "PoissonSampling",
    "PowerOfChoice",
    "Preferred",
    "RandomGroups",
    "RandomNeighbours",
    "RandomWalk",
    "Sampling",
    "SamplingWithReplacement",
    "Sleeping",
    "TargetBatch",
    "Teleportation",
    "Ticks",
    "Traced",
    "Waves",
    "Windowed",
    "read_trace",
]

checks.name_fields(__name__)
checks.renamed(__name__, RENAMED)
