"""What a round costs in simulated seconds: how long nodes compute, how long messages travel, and who is waited for.

A `Clock` is put together from one part of each kind, and given to `jdl.run(..., clock=Clock(...))`:

- how long a step takes (`steps/`): `Constant`, `LogNormal`, `Exponential`, `Recorded`, `SlowShare`, and `slow` for the
  seconds of single nodes; how long it takes on this machine (`measured`), or with so many operations a second
  (`from_flops`); and the steps and lines of measured devices (`fedscale_devices`);
- how long a message travels (`links/`): `Parallel`, `FairShare`, `OneAfterAnother`;
- for whom a server, or each peer, waits (`waits/`): `First`, `Deadline`; without one, for everybody.
"""

from jdl import checks
from jdl.clock.clock import Clock
from jdl.clock.links.fair_share import FairShare
from jdl.clock.links.one_after_another import OneAfterAnother
from jdl.clock.links.parallel import Parallel
from jdl.clock.steps.constant import Constant
from jdl.clock.steps.exponential import Exponential
from jdl.clock.steps.fedscale import fedscale_devices
from jdl.clock.steps.log_normal import LogNormal
from jdl.clock.steps.measured import from_flops, measured
from jdl.clock.steps.recorded import Recorded
from jdl.clock.steps.slow import slow
from jdl.clock.steps.slow_share import SlowShare
from jdl.clock.waits.deadline import Deadline
from jdl.clock.waits.first import First

__all__ = [
    "Clock",
    "Constant",
    "Deadline",
    "Exponential",
    "FairShare",
    "First",
    "LogNormal",
    "OneAfterAnother",
    "Parallel",
    "Recorded",
    "SlowShare",
    "fedscale_devices",
    "from_flops",
    "measured",
    "slow",
]

checks.name_fields(__name__)
