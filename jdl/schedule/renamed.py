"""The names that schedules had before each was spelled as its class; see `jdl.checks.renamed`."""

from __future__ import annotations

from jdl.schedule.availability import Availability
from jdl.schedule.communication import Windowed
from jdl.schedule.cyclic import Cyclic
from jdl.schedule.epidemic import Epidemic
from jdl.schedule.equidyn import Equidyn
from jdl.schedule.fixed import Fixed
from jdl.schedule.gilbert_elliott import GilbertElliott
from jdl.schedule.hierarchy import Hierarchy
from jdl.schedule.importance import Importance
from jdl.schedule.matcha import Matcha
from jdl.schedule.mobility import Mobility
from jdl.schedule.pairwise import Pairwise
from jdl.schedule.peer_swap import PeerSwap
from jdl.schedule.power_of_choice import PowerOfChoice
from jdl.schedule.random_groups import RandomGroups
from jdl.schedule.random_walk import RandomWalk
from jdl.schedule.sampling_with_replacement import SamplingWithReplacement
from jdl.schedule.teleportation import Teleportation

__all__ = ["RENAMED"]

CLASSES = {
    "Markov": "GilbertElliott",
    "Replacement": "SamplingWithReplacement",
    "WhenApart": "EventTriggered",
    "Workers": "Availability",
    "adaptive": "EventTriggered",
    "cyclic_sampling": "CyclicSampling",
    "epidemic_local": "EpidemicLocal",
    "final_merge": "FinalMerge",
    "matching": "Matching",
    "pairwise": "Pairwise",
    "sampling": "Sampling",
    "sleeping": "Sleeping",
}
METHODS = {
    "cyclic": Cyclic.of,
    "epidemic": Epidemic.for_nodes,
    "equidyn": Equidyn.for_nodes,
    "fixed": Fixed.of,
    "hierarchy": Hierarchy.for_nodes,
    "importance": Importance.for_nodes,
    "markov": GilbertElliott.for_nodes,
    "markov_links": GilbertElliott.of,
    "matcha": Matcha.for_nodes,
    "matcha_of": Matcha.of,
    "mobility": Mobility.for_nodes,
    "pairwise_of": Pairwise.of,
    "peer_swap": PeerSwap.for_nodes,
    "peer_swap_of": PeerSwap.of,
    "power_of_choice": PowerOfChoice.for_nodes,
    "random_groups": RandomGroups.for_nodes,
    "random_walk": RandomWalk.for_nodes,
    "random_walk_of": RandomWalk.of,
    "sampling_with_replacement": SamplingWithReplacement.for_nodes,
    "teleportation": Teleportation.for_nodes,
    "teleportation_of": Teleportation.of,
    "workers": Availability.for_nodes,
}

RENAMED = {
    **{old: f"jdl.schedule.{new}" for old, new in CLASSES.items()},
    **{old: (f"jdl.schedule.{new.__qualname__}", new) for old, new in METHODS.items()},
    "early": ("jdl.schedule.Windowed(schedule, until=...)", lambda schedule, until: Windowed(schedule, until=until)),
    "late": ("jdl.schedule.Windowed(schedule, start=...)", lambda schedule, start: Windowed(schedule, start=start)),
    "periodic": ("jdl.schedule.Windowed(schedule, every=...)", lambda schedule, every: Windowed(schedule, every=every)),
}
