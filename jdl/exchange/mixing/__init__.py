"""Mixing: weighted sums of neighbours' messages in every form of a plan, single messages, and the traffic on links."""

from jdl.exchange.mixing.delivery import deliver, neighbourhood
from jdl.exchange.mixing.mix import mix, require_real
from jdl.exchange.mixing.traffic import traffic

__all__ = ["deliver", "mix", "neighbourhood", "require_real", "traffic"]
