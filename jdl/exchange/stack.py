"""One exchange out of a list of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from jdl import checks
from jdl.compressors import Compressor
from jdl.exchange.compress import Compressed
from jdl.exchange.linear import Linear
from jdl.types import Exchange

__all__ = ["breaks_of", "is_compressor", "layers", "needs_of", "stack", "stack_down"]


def stack(network: Sequence[Exchange | Compressor]) -> Exchange:
    """Nest exchanges in the order in which a message meets them, nearest the sender first.

    The last may be an aggregation rule (such as `CoordinateMedian()`); otherwise plain gossip closes the stack.

    Args:
      network: exchanges, and compressors, which become `Compressed`.

    Raises:
      InputError: if an aggregation rule stands before other exchanges.

    >>> from jdl.compressors import TopK
    >>> from jdl.exchange import Lossy
    >>> [type(layer).__name__ for layer in layers(stack([TopK(0.1), Lossy(0.2)]))]
    ['Compressed', 'Lossy', 'Linear']
    """
    network = [Compressed(part) if is_compressor(part) else part for part in network]
    if not network:
        return Linear()
    *wrappers, last = network
    if not wraps(last):
        inner = last
    else:
        inner = Linear()
        wrappers = list(network)
    for outer in reversed(wrappers):
        name = type(outer).__name__
        checks.require(wraps(outer), f"got {name} before other exchanges, it replaces the mean; put it last")
        inner = outer.replace(inner=inner)
    return inner


def stack_down(network: Sequence[Exchange | Compressor]) -> Exchange | None:
    """Nest the exchanges on the way from a server to its clients; None if there are none.

    Args:
      network: exchanges, and compressors, which become `Compressed`.

    Raises:
      InputError: if an exchange replaces the mean: a client receives one message, the server's.
    """
    for part in network:
        name = type(part).__name__
        need = f"got {name} in network_down, where each client receives one message; put it in network"
        checks.require(is_compressor(part) or wraps(part), need)
    return stack(network) if network else None


def is_compressor(part: Exchange | Compressor) -> bool:
    """Whether a part of a network is a compressor: it is called with a message, where an exchange is applied."""
    return dataclasses.is_dataclass(part) and callable(part) and not isinstance(part, type | Exchange)


def wraps(exchange: Exchange) -> bool:
    """Whether an exchange acts on messages and hands them on, rather than aggregating them."""
    return any(field.name == "inner" for field in dataclasses.fields(exchange))


def layers(exchange: Exchange) -> list[Exchange]:
    """The exchanges of a stack, outermost (nearest the sender) first."""
    return [exchange, *layers(exchange.inner)] if wraps(exchange) else [exchange]


def needs_of(exchange: Exchange) -> frozenset[str]:
    """The union of `needs` over a stack."""
    return frozenset().union(*(layer.needs for layer in layers(exchange)))


def breaks_of(exchange: Exchange) -> frozenset[str]:
    """The union of `breaks` over a stack."""
    return frozenset().union(*(layer.breaks for layer in layers(exchange)))
