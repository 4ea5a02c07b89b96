"""Links that fail: messages that are lost, late, repeated or doubled, and what repairs the loss."""

from jdl.exchange.faults.delayed import Delayed
from jdl.exchange.faults.fill_missing import FillMissing
from jdl.exchange.faults.lossy import Lossy
from jdl.exchange.faults.lossy_links import LossyLinks
from jdl.exchange.faults.robust_push_sum import RobustPushSum

__all__ = ["Delayed", "FillMissing", "Lossy", "LossyLinks", "RobustPushSum"]
