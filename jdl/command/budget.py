"""A budget of privacy as a flag, `--dp epsilon=4:delta=1e-5`, and the noise that keeps it."""

from __future__ import annotations

from typing import Any

from jdl import checks
from jdl.command.values import value_of
from jdl.oracle import PrivateGradients
from jdl.runs.compose import simulation
from jdl.runs.privacy import noise_multiplier
from jdl.runs.seeds import is_recipe, seeds_of

__all__ = ["budget_in", "oracle_within", "require_same_noise"]

USUAL = {"epsilon": 4.0, "delta": 1e-5, "clip": 1.0}
SHORT = {"eps": "epsilon"}
# The arguments of `jdl.simulation` on which the account depends.
PARTS = ("problem", "algorithm", "topology", "network", "network_down", "roles")


def budget_in(text: str | None) -> dict[str, float] | None:
    """The budget that the flag names: epsilon, delta, and the norm to which the gradients of examples are clipped.

    Args:
      text: `NAME=VALUE:NAME=VALUE`, where what is not named has its usual value; None for no budget.

    Raises:
      InputError: if a name or a value is none.

    >>> budget_in("eps=2:clip=0.5")
    {'epsilon': 2.0, 'delta': 1e-05, 'clip': 0.5}
    """
    if text is None:
        return None
    found = dict(USUAL)
    for pair in text.split(":"):
        name, equals, value = (word.strip() for word in pair.partition("="))
        got, do = f"--dp {text}", "write --dp epsilon=4:delta=1e-5"
        checks.require(bool(equals and name and value), f"got {got}, need names and values; {do}")
        name = checks.known("part of --dp", SHORT.get(name, name), USUAL)
        found[name] = value_of(float, False, value, got, f"with a colon between them; {do}")
    return found


def oracle_within(budget: dict[str, float], arguments: dict[str, Any], seed: int) -> list[Any]:
    """The wrappers of the oracle, with private gradients whose noise keeps a budget over all rounds of a run.

    Args:
      budget: see `budget_in`.
      arguments: those of `jdl.run`. Of parts that are drawn anew with each seed all are looked at, and the one that
        needs the most noise counts.
      seed: the first seed.

    Raises:
      InputError: if there are private gradients already, or if no account holds for these parts.
    """
    others = list(arguments["oracle"])
    twice = any(isinstance(part, PrivateGradients) for part in others)
    checks.require(not twice, "got --dp and --oracle private_gradients, need one of them; leave --oracle's out")
    private = PrivateGradients(clip=budget["clip"], noise_multiplier=1.0)
    parts = {name: arguments[name] for name in PARTS}
    several = seeds_of(arguments.get("seeds"), seed) if any(map(is_recipe, parts.values())) else None

    def needed(seed: int) -> float:
        made = {name: part(seed=seed) if is_recipe(part) else part for name, part in parts.items()}
        built = simulation(**made, oracle=[private, *others], seed=seed)
        return noise_multiplier(built, arguments["rounds"], budget["epsilon"], budget["delta"])

    return [private.replace(noise_multiplier=max(map(needed, several or [seed]))), *others]


def require_same_noise(command: dict[str, Any], rounds: int) -> None:
    """Check that a run with a budget is not extended.

    Args:
      command: the record of the run.
      rounds: the rounds to which it shall go on.

    Raises:
      InputError: if these are more than its noise was priced for.
    """
    before, budget = command["rounds"], command.get("dp")
    if budget is None or rounds <= before:
        return
    words = f"epsilon={budget['epsilon']:g}:delta={budget['delta']:g}:clip={budget['clip']:g}"
    raise checks.InputError(
        f"got --rounds {rounds} for a run with --dp {words}, whose noise was priced for {before} rounds: more rounds "
        "with this noise would spend more than epsilon, and other noise makes another run, need the same rounds; "
        f"begin one with --rounds {rounds} and the same --dp"
    )
