"""Links that fail: messages that are lost, late, repeated or doubled, and what repairs the loss."""

from jdl.exchange.faults.bursty_links import BurstyLinks
from jdl.exchange.faults.delayed import Delayed
from jdl.exchange.faults.duplicated import Duplicated
from jdl.exchange.faults.fill_missing import FillMissing
from jdl.exchange.faults.lossy import Lossy
from jdl.exchange.faults.lossy_links import LossyLinks
from jdl.exchange.faults.resting_links import RestingLinks
from jdl.exchange.faults.robust_push_sum import RobustPushSum
from jdl.exchange.faults.stale import Stale

__all__ = [
    "BurstyLinks",
    "Delayed",
    "Duplicated",
    "FillMissing",
    "Lossy",
    "LossyLinks",
    "RestingLinks",
    "RobustPushSum",
    "Stale",
]
