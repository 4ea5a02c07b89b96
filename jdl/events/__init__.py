"""Events in time, planned on the host in double precision, and the waves in which they are executed; NumPy alone.

A plan is made in three steps: when nodes act (`poisson`, `devices`), with whom (`paired`, or `busy_pairs` where a
transfer keeps two nodes busy, or `meetings` at times of their own), and in which wave each event is executed (`waves`).
Nothing here knows a method.
"""

from jdl.events.absent import Absences
from jdl.events.acts import Acts, devices, means, poisson
from jdl.events.apart import alone_and_meeting, meetings, since_last
from jdl.events.busy import busy_pairs
from jdl.events.pairs import Events, paired, staleness
from jdl.events.waves import WaveTable, waves

__all__ = [
    "Absences",
    "Acts",
    "Events",
    "WaveTable",
    "alone_and_meeting",
    "busy_pairs",
    "devices",
    "means",
    "meetings",
    "paired",
    "poisson",
    "since_last",
    "staleness",
    "waves",
]
