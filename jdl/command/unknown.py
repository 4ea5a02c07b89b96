"""Words of a command that no part takes: a sentence says which part would, or which flag was meant."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from jdl import checks
from jdl.command.catalogue import maker, members, options
from jdl.command.choices import Chosen
from jdl.command.flags import FLAG, PREFIXED, Common, options_of, spelled

__all__ = ["refuse"]

# What is meant most often where a flag belongs to several parts.
USUAL = ("dpsgd", "fedavg", "dsgdm", "random_regular", "torus", "dirichlet", "shards", "top_k", "lossy", "beer")

# Flags by the name of the argument of `jdl.run` that is named otherwise.
PYTHONS = {"run-dir": "out"}


def refuse(unknown: list[str], chosen: Chosen, flags: type, command: str = "") -> None:
    """A sentence for arguments that no part chosen takes: which one would, or which flag was meant.

    Args:
      unknown: the arguments.
      chosen: the parts.
      flags: the dataclass of the flags that are known.
      command: the command, if it is not to be told from the flags.

    Raises:
      InputError: if there is such an argument.
    """
    if not unknown:
        return
    word, command = unknown[0].partition("=")[0], command or ("run" if issubclass(flags, Common) else "topo")
    see, what = f"see `jdl {command} --help`", "this graph" if command == "topo" else f"this {command}"
    checks.require(word.startswith("--"), f"got {word!r}, which follows no flag; {see}")
    plain = word[2:].replace("_", "-").removeprefix("no-")
    takers = [part for *part, flag in _all_flags() if flag == plain and (command != "topo" or part[0] == "topology")]
    parts = [(FLAG[kind], name) for kind, name in chosen.parts]
    parts += [("network-down", name) for name in chosen.down]
    if takers:
        takers.sort(key=lambda part: USUAL.index(part[1]) if part[1] in USUAL else len(USUAL))
        of, name = takers[0]
        both = f"got {word} and {name} in --network-down, whose flags begin with --down; give --down.{word[2:]}"
        checks.require(of != "network" or ("network-down", name) not in parts, both)
        names = " and ".join(name for _, name in takers[:3]) + f" and {len(takers) - 3} others" * (len(takers) > 3)
        others = ", ".join(name + " on the way down" * (of == "network-down") for of, name in parts)
        do = f"leave it out, or give --{of} {name}"
        raise checks.InputError(f"got {word}, which belongs to {names}, not to {others}; {do}")
    groups = {"down", *(name for _, name in parts)}
    common = [one.name.replace("_", "-") for one in dataclasses.fields(flags) if one.name not in groups]
    own = [flag for of, name, flag in _all_flags() if (of, name) in parts]
    other = PYTHONS.get(plain)
    near = other if other in common else " or --".join(checks.nearest(plain, [*common, *own])[:2])
    raise checks.InputError(f"got {word}, which is no flag of {what}; did you mean --{near}? S{see[1:]}")


def _all_flags() -> Iterable[tuple[str, str, str]]:
    """Every option of every part: the flag that names the part, the part's name, and the flag of the option.

    The sample of a server counts with the algorithms that have one.
    """
    parts = [(kind, name, options_of(kind, name)) for kind in FLAG for name in members(kind)]
    served = [name for name, algorithm in members("algorithms").items() if "server" in algorithm().needs]
    parts += [("algorithms", name, options(maker("topologies", "sampling"))) for name in served]
    parts.append(("topologies", "from_file", options(maker("topologies", "from_file"))))
    for kind, name, found in parts:
        for option in found:
            flag = (f"{name}." * (kind in PREFIXED) + spelled(kind, option)).replace("_", "-")
            yield FLAG[kind], name, flag
            if kind == "exchanges":
                yield "network-down", name, f"down.{flag}"
