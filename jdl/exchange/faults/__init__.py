"""Links that fail: messages that are lost, late, repeated or doubled, and what repairs the loss."""

from jdl.exchange.faults.delayed import Delayed
from jdl.exchange.faults.lossy import Lossy

__all__ = ["Delayed", "Lossy"]
