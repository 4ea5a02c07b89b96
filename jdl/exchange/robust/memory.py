"""The parts of a message that rules act on, for rules that remember."""

from __future__ import annotations

import jax

from jdl.types import Each, Message, PerLink, Push

__all__ = ["plain_parts"]


def plain_parts(message: Message) -> list[jax.Array]:
    """The arrays of a message that a rule is handed, in the order of `mixing.inboxes`."""
    is_kind = lambda part: isinstance(part, Each | PerLink | Push)
    return [part for part in jax.tree.leaves(message, is_leaf=is_kind) if not is_kind(part)]
