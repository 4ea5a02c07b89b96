"""What an algorithm's methods return, checked where they are called."""

from __future__ import annotations

from typing import Any

import jax

from jdl import checks
from jdl.types import Algorithm, Delivery, Each, Federated, Message, PerLink, Push

__all__ = ["announced", "delivered", "returned"]

# What a method of each role returns.
RETURNS = {
    "send": ("(message, state)", 2),
    "recv": ("(state, info), info a dict of scalars, often {}", 2),
    "client": ("(message, state); a report is an Each part of the message", 2),
    "client_heard": ("(message, state); a report is an Each part of the message", 2),
}


def returned(kind: type, method: str, role: str, out: Any) -> Any:
    """Check that a method returned what its role asks for, and return it.

    Raises:
      InputError: if it did not.
    """
    if role not in RETURNS:
        return out
    form, count = RETURNS[role]
    plain = type(out) is tuple and len(out) == count and (role != "recv" or isinstance(out[-1], dict))
    got = f"{len(out)} values" if type(out) is tuple else f"one value of type {type(out).__name__}"
    if type(out) is tuple and len(out) == count:
        got = f"{type(out[-1]).__name__} as its last value"
    checks.require(plain, f"got {kind.__name__} whose `{method}` returns {got}, need {form}; return that")
    return out


# The words of `needs`, one of which a method has if its messages have parts of a kind.
WORDS = {PerLink: ("per_link",), Each: ("each",), Push: ("push", "column_stochastic")}


def announced(algorithm: Algorithm | Federated, message: Message) -> None:
    """Check that a method says in `needs` which kinds of parts its messages have: a network may break one of them.

    A server receives its clients' messages one by one in any case.

    Raises:
      InputError: if a word is missing.
    """
    for part in jax.tree.leaves(message, is_leaf=lambda part: type(part) in WORDS):
        words = WORDS.get(type(part), ())
        said = not words or algorithm.needs & set(words) or (type(part) is Each and "server" in algorithm.needs)
        got = f"got {type(algorithm).__name__} whose message has a part of kind {type(part).__name__}"
        checks.require(said, f"{got}, need the word {' or '.join(map(repr, words))} in its needs; add it")


def delivered(exchange: Any, out: Any) -> tuple:
    """Check that an exchange returned what its protocol asks for, and return it.

    Raises:
      InputError: if it did not.
    """
    three = isinstance(out, tuple) and len(out) == 3
    got = f"{len(out)} values" if isinstance(out, tuple) else f"one value of type {type(out).__name__}"
    need = "need (inbox, state, deliveries), deliveries a tuple; return what `inner.apply` or `mixing.delivered` gives"
    checks.require(three, f"got {type(exchange).__name__} whose `apply` returns {got}, {need}")
    told = isinstance(out[2], tuple) and all(isinstance(one, Delivery) for one in out[2])
    checks.require(told, f"got {type(exchange).__name__} whose `apply` returns {type(out[2]).__name__} last, {need}")
    return out
