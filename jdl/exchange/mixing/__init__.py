"""Mixing: weighted sums of neighbours' messages in every form of a plan, and messages one by one."""

from jdl.exchange.mixing.delivery import deliver, neighbourhood, post
from jdl.exchange.mixing.inboxes import delivered, inboxes
from jdl.exchange.mixing.mix import mix, require_real

__all__ = ["deliver", "delivered", "inboxes", "mix", "neighbourhood", "post", "require_real"]
