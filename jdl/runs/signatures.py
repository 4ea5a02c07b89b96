"""The arguments with which a simulation calls the methods of its parts, checked before anything is computed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jdl import checks
from jdl.types import Federated

__all__ = ["COMPRESSOR", "EXCHANGE", "PROBLEM", "SCHEDULE", "WRAPPER", "check_calls", "check_function", "of_algorithm"]

# The names of the arguments of each method of a part, in the words of `jdl.types`.
PROBLEM = {"init": "key", "batch": "id, batch_id", "loss": "params, batch", "evaluate": "params"}
SCHEDULE = {"init": "key", "__call__": "memory, t, key, seen"}
EXCHANGE = {"init": "message", "apply": "state, wire, key"}
COMPRESSOR = {"init": "message", "__call__": "memory, message, key"}
WRAPPER = {
    "batch": "inner, data, query",
    "objective": "inner, data, params, batch, query",
    "grad": "inner, data, params, batch, query",
    "steps": "inner, data",
    "init": "problem, key",
    "begin": "memory, data, model",
}
PEER = {"init": "params, node", "model": "state"}
PEER_PHASE = ("state, node", "state, inbox, node")
SERVED = {
    "init": "params, n",
    "client_init": "params, node",
    "weight": "server_state, node",
    "model": "server_state",
    "personal": "server_state, client_state",
}
SERVED_PHASE = ("server_state", "broadcast, client_state, node", "server_state, aggregate, info")


def of_algorithm(algorithm: Any) -> dict[str, str]:
    """The methods of an algorithm with the names of their arguments, also those that its `phases` name.

    >>> from jdl.algorithms import DPSGD
    >>> of_algorithm(DPSGD())["recv"]
    'state, inbox, node'
    """
    served = isinstance(algorithm, Federated)
    calls, forms = (SERVED, SERVED_PHASE) if served else (PEER, PEER_PHASE)
    named = [pair for phase in algorithm.phases for pair in zip(phase, forms, strict=True)]
    return {**calls, **dict(named)}


def check_calls(part: Any, calls: Mapping[str, str]) -> None:
    """Check that each method that a part has can be called with its arguments.

    Args:
      part: a part of a simulation.
      calls: the names of the arguments of each method.

    Raises:
      InputError: if a method takes other arguments.
    """
    for name, arguments in calls.items():
        if callable(getattr(part, name, None)):
            check_function(f"{type(part).__name__}.{name}", getattr(part, name), arguments)


def check_function(name: str, function: Callable[..., Any], arguments: str) -> None:
    """Check that a function can be called with these arguments.

    Args:
      name: what it is called in the sentence.
      function: the function, or a bound method.
      arguments: the names of its arguments, in their order.

    Raises:
      InputError: if it takes other arguments.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions in C have none
        return
    try:
        signature.bind(*arguments.split(", "))
    except TypeError as error:
        got = f"got {name} with the arguments ({', '.join(signature.parameters)}), need ({arguments})"
        raise checks.InputError(f"{got}; see jdl.types") from error
