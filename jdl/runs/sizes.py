"""How many bits the messages of a round have on a link, after all that the network does with them."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from jdl import checks
from jdl.engine.messages import content_and_bits
from jdl.engine.sim import first_messages, init, step
from jdl.engine.state import RunState, Simulation
from jdl.types import Key, PyTree, Wire

__all__ = ["Sizes", "sizes_of", "stated"]


ROUNDS = 8  # of a run itself, whose sizes are looked at


class Sizes(NamedTuple):
    """Sizes of one copy on one link, in bits: f[2, exchanges, parts], in the first round and in all others.

    Exchanges that are empty have zeros.

    Attributes:
      up: of what nodes send.
      down: of what a server sends; a row without parts among peers.
      sends: for each exchange, whether nodes send anything.
      tells: the same for a server; empty among peers.
    """

    up: np.ndarray
    down: np.ndarray
    sends: tuple[bool, ...]
    tells: tuple[bool, ...]


def stated(s: Simulation, bits: float) -> Sizes:
    """Messages of one given size in all exchanges."""
    sends, tells = _talks(s)
    fill = lambda talks: np.full((2, max(len(talks), 1), 1), bits, np.float32)
    return Sizes(fill(sends), fill(tells), sends, tells)


def sizes_of(s: Simulation) -> Sizes:
    """The sizes of the first rounds of a simulation, if they are the same for all nodes and in all these rounds.

    The first round may differ, since many methods have nothing to tell then.

    Raises:
      InputError: if they are not.
    """
    sends, tells = _talks(s)
    up, down = jax.device_get(PROBE(s.replace(clock=None, work=())))
    return Sizes(_table(s, up, sends), _table(s, down, tells), sends, tells)


def _talks(s: Simulation) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    return tuple(tuple(bool(jax.tree.leaves(one)) for one in messages) for messages in first_messages(s))


def _table(s: Simulation, noted: list[list[np.ndarray]], talks: tuple[bool, ...]) -> np.ndarray:
    """The sizes of exchanges that are not empty, in a table of all of them."""
    parts = max([len(one) for one in noted], default=1)
    table, left = np.zeros((2, max(len(talks), 1), parts), np.float32), iter(noted)
    for phase in np.flatnonzero(talks):
        for k, bits in enumerate(next(left)):
            for first, of_rounds in enumerate((bits[:1], bits[1:])):
                least, most = np.min(of_rounds), np.max(of_rounds)
                sizes = f"messages of {least:,.0f} to {most:,.0f} bits in the first {ROUNDS} rounds"
                need = "need messages of one size to know the time without learning; use jdl.run with this clock"
                got = f"got {type(s.algorithm).__name__} in a network with {sizes}"
                checks.require((0 < least or not first) and least == most, f"{got}, {need}, or say bits={most:.3g}")
                table[first, phase, k] = most
    return table


def _probed(s: Simulation) -> tuple[list, list]:
    """The sizes in the first rounds, f[ROUNDS, rows], of each part of each exchange that is not empty.

    Where sizes follow from shapes alone, nothing else is computed.
    """
    return jax.lax.scan(lambda state, _: _noted(s, state), init(s), length=ROUNDS)[1]


PROBE = jax.jit(_probed)


def _noted(s: Simulation, state: RunState) -> tuple[RunState, tuple[list, list]]:
    """The next round, and the sizes of its rows, for each part of each exchange that is not empty."""
    up, down = [], []
    through = s.exchange_down is not None
    noting = {"exchange": Noting(s.exchange, up)}
    noting |= {"exchange_down": Noting(s.exchange_down, down)} if through else {}
    after = step(s.replace(**noting), state)[0]
    if s.has_server and not through:
        messages = [getattr(s.algorithm, phase[0])(state.server) for phase in s.algorithm.phases]
        rows = [jax.tree.map(lambda x: x[None], one) for one in messages]
        down = [[content_and_bits(one)[1]] for one in rows if jax.tree.leaves(one)]
    return after, (up, down)


class Noting:
    """A network that notes the sizes of what goes over its links.

    Args:
      inner: the network.
      noted: gets a list of the sizes of all parts, for each exchange.
    """

    def __init__(self, inner: Any, noted: list):
        self.inner, self.noted = inner, noted

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def apply(self, state: PyTree, wire: Wire, key: Key) -> tuple:
        out = self.inner.apply(state, wire, key)
        self.noted.append([one.bits for one in out[2]])
        return out
