"""How rows meet: weighted sums in the form that a plan asks for, messages one by one, and what they cost on links."""

from jdl.exchange.mixing.delivery import deliver, neighbourhood
from jdl.exchange.mixing.mix import mix, require_real
from jdl.exchange.mixing.traffic import traffic

__all__ = ["deliver", "mix", "neighbourhood", "require_real", "traffic"]
