"""The time of every exchange and codec over that of the plain exchange, and of every robust rule over its bytes.

    python benchmarks/exchanges.py [--out benchmarks/results/exchanges.json] [--turns 5] [--only top_k krum]

Every part that `jdl list` shows as an exchange is measured with its default options, inside one compiled loop in which
each inbox is the next round's message. The plain exchange over the same graph is the yardstick. It gathers the messages
of all neighbours and writes one inbox. For a robust rule the second yardstick is the time to read each message of a
neighbourhood once, which is that of the plain exchange too; `bytes` says how many these are. Programs take turns in
one process; figures are medians of the ratios of the turns, with quartiles. `memory` is what XLA plans for a round
besides its arguments and results, over the size of all messages. A part that does not work on these parts alone
(it needs a tree, say, or gives no inbox of the message's shape) is named with the reason.
"""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from turns import Times, in_turns, ratio, shown

import jdl
from jdl.command.catalogue import make, members
from jdl.exchange.stack import is_compressor, stack, wraps
from jdl.types import Exchange, Wire

PLAIN = "linear"


def kind_of(name: str) -> str:
    """What a part does: codec, rule, attack or other exchange."""
    part = make("exchanges", name)
    if is_compressor(part):
        return "codec"
    if "dishonest" in part.needs:
        return "attack"
    return "exchange" if wraps(part) else "rule"


class Rounds:
    """Rounds of one exchange as one compiled program, and what XLA plans for them."""

    def __init__(self, exchange: Exchange, wire: Wire):
        message = jax.eval_shape(lambda: wire.sent)
        start = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(exchange.init, message))
        start = exchange.init(wire.sent) if jax.tree.leaves(start) else start

        def once(round_, carry):
            x, memory = carry
            key = jax.random.fold_in(jax.random.key(0), round_)
            inbox, memory, _ = exchange.apply(memory, wire.replace(own=x, sent=x), key)
            return inbox, memory

        loop = lambda carry, wire_, rounds: jax.lax.fori_loop(0, rounds, once, carry)
        compiled = jax.jit(loop, donate_argnums=0).lower((wire.sent, start), wire, np.int32(1)).compile()
        self.temporary = compiled.memory_analysis().temp_size_in_bytes
        self._call = lambda carry, rounds: compiled(carry, wire, np.int32(rounds))
        self._state = (jax.tree.map(jnp.copy, wire.sent), start)

    def __call__(self, rounds: int) -> float:
        begin = time.perf_counter()
        self._state = jax.block_until_ready(self._call(self._state, rounds))
        return time.perf_counter() - begin


def wire_of(nodes: int, size: int, degree: int) -> Wire:
    """Messages of all nodes over a random regular graph, a fifth of the nodes dishonest."""
    x = jnp.asarray(np.random.default_rng(0).standard_normal((nodes, size)), jnp.float32)
    plan = jdl.topology.random_regular(nodes, degree, seed=0).plan("slots")
    ids = jnp.arange(nodes, dtype=jnp.int32)
    return Wire(x, x, jnp.full(nodes, 32.0 * size), plan, origin=ids, roles=jdl.roles.draw(nodes, 0.2))


def measured(names: list[str], wire: Wire, seconds: float, turns: int) -> tuple[dict[str, Any], dict[str, str]]:
    """The figures of parts, each in turns with the plain exchange, and the reasons why others have none."""
    figures: dict[str, Any] = {}
    without: dict[str, str] = {}
    plain = Rounds(stack([make("exchanges", PLAIN)]), wire)
    for name in names:
        try:
            part = Rounds(stack([make("exchanges", name)]), wire)
        except Exception as error:  # whatever it is, it is named in the results
            without[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
            continue
        times: Times = in_turns({name: part, PLAIN: plain}, seconds, turns)
        figures[name] = {"kind": kind_of(name), "over_plain": ratio(times, name, PLAIN)}
        figures[name] |= {"milliseconds": 1e3 * sorted(times[name])[len(times[name]) // 2]}
        figures[name] |= {"memory": part.temporary / wire.sent.nbytes}
        print(f"{name:24s} {figures[name]['kind']:9s} {shown(figures[name]['over_plain'])}", flush=True)
    return figures, without


def main(
    out: Path = Path("benchmarks/results/exchanges.json"),
    turns: int = 5,
    seconds: float = 0.5,
    only: tuple[str, ...] = (),
):
    """Measure, print worst first, and write the figures.

    Args:
      out: the JSON file to write; figures of parts that are not measured now are kept.
      turns: the number of turns of each part.
      seconds: seconds of each turn.
      only: names of exchanges; by default all.
    """
    names = list(only) or sorted(members("exchanges"))
    rules = [name for name in names if kind_of(name) == "rule" and name != PLAIN]
    others = [name for name in names if kind_of(name) != "rule"]
    figures: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    figures["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}"
    for title, some, (nodes, size, degree) in (
        ("exchanges", others, (1024, 25_000, 4)),
        ("rules", rules, (1000, 10_000, 9)),
    ):
        found, without = measured(some, wire_of(nodes, size, degree), seconds, turns)
        kept = figures.setdefault(
            title, {"nodes": nodes, "numbers": size, "degree": degree, "parts": {}, "without": {}}
        )
        kept["parts"] |= found
        kept["without"] |= without
        kept["bytes"] = 4 * nodes * size * (degree + 2)
        print(f"\n{title}: {nodes} nodes, {size} numbers, degree {degree}; worst first")
        for name in sorted(found, key=lambda name: -found[name]["over_plain"]["median"]):
            one = found[name]
            said = f"{shown(one['over_plain'])} of the plain exchange, memory {one['memory']:.1f} of all messages"
            print(f"  {one['kind']:9s} {name:24s} {said}")
        for name, why in without.items():
            print(f"  not measured: {name}: {why}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
