"""What a message holds, and how many bits it has on a link."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import tree
from jdl.types import Message, PerLink, Posted, Push, PyTree, Sized

__all__ = ["content_and_bits", "content_of", "is_posted", "unmarked"]


def is_posted(part: PyTree) -> bool:
    """Whether a part of an inbox holds messages that each row takes one by one when its turn comes."""
    return isinstance(part, Posted)


def unmarked(inbox: Message) -> Message:
    """The inbox as a method reads it: sums of `Push` parts are plain."""
    is_push = lambda part: isinstance(part, Push)
    return jax.tree.map(lambda part: part.content if is_push(part) else part, inbox, is_leaf=is_push)


def content_of(message: Message) -> Message:
    """The message without the sizes that its parts state."""
    return jax.tree.map(lambda x: x.content if isinstance(x, Sized) else x, message, is_leaf=_is_sized)


def content_and_bits(message: Message) -> tuple[Message, jax.Array]:
    """What the receivers of a stacked message are given, and its size.

    Args:
      message: M[m], whose parts may be `Sized`, `PerLink`, `Each` or `Push`. Of a `PerLink` part, what one link carries
        is counted.

    Returns:
      The message without its stated sizes, M[m], and the bits of one copy of each row on one link, f[m] or f[1].
    """

    def bits(part):
        if isinstance(part, Sized):
            return part.bits.astype(jnp.float32)
        if isinstance(part, PerLink):
            links = max(jax.tree.leaves(part.content)[0].shape[1], 1)
            return jnp.float32(tree.bits(part.content) / links)
        return jnp.float32(tree.bits(part))

    parts = jax.tree.leaves(message, is_leaf=lambda x: _is_sized(x) or isinstance(x, PerLink))
    rows = [jnp.reshape(bits(part), (-1,)) for part in parts]
    return content_of(message), sum(rows, start=jnp.zeros((1,), jnp.float32))


def _is_sized(x: PyTree) -> bool:
    return isinstance(x, Sized)
