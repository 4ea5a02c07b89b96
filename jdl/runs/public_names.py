"""The name under which users know a class of jdl, and when two such names mean one class.

The configuration of a run names the classes of its parts. Modules move; what a package exports keeps its name.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["public_name", "renewed", "same_class"]

# What a class was called, and is called; what a field was called, and is called.
CLASSES = {
    "jdl.oracle.Minibatch": "jdl.oracle.DataOracle",
    "jdl.schedule.Markov": "jdl.schedule.GilbertElliott",
    "jdl.schedule.Replacement": "jdl.schedule.SamplingWithReplacement",
    "jdl.schedule.WhenApart": "jdl.schedule.EventTriggered",
    "jdl.schedule.Workers": "jdl.schedule.Availability",
}
FIELDS = {"jdl.types.Plan": {"kind": "stochastic"}}


def public_name(kind: type) -> str:
    """The name of a class in the package of jdl that exports it; module and name of every other class.

    >>> from jdl.algorithms import DPSGD
    >>> public_name(DPSGD)
    'jdl.algorithms.DPSGD'
    >>> import fractions
    >>> public_name(fractions.Fraction)
    'fractions.Fraction'
    """
    name, packages = kind.__qualname__, kind.__module__.split(".")
    if packages[0] == "jdl":
        for length in range(1, len(packages)):
            package = sys.modules[".".join(packages[:length])]
            if name in package.__all__ and getattr(package, name) is kind:
                return f"{package.__name__}.{name}"
    return f"{kind.__module__}.{name}"


def same_class(was: Any, now: Any) -> bool:
    """Whether two values are names of one class of jdl, whichever modules of a package held it when they were written.

    Where both name a module, the modules have one name, too: packages have helpers of one name in several modules.

    >>> same_class("jdl.algorithms.dpsgd.DPSGD", "jdl.algorithms.DPSGD")
    True
    >>> same_class("jdl.algorithms.dpsgd.DPSGD", "jdl.algorithms.DGD")
    False
    """
    first, second = _parts(was), _parts(now)
    if not first or not second:
        return False
    (_, package, *modules, name), (_, other_package, *other_modules, other_name) = first, second
    same_module = not modules or not other_modules or modules[-1] == other_modules[-1]
    return (package, name) == (other_package, other_name) and same_module


def renewed(described: Any) -> Any:
    """A description of a run, or a part of one, in the words of this version, whichever version wrote it.

    >>> renewed({"type": "jdl.schedule.markov.Markov", "fail": 0.1})
    {'type': 'jdl.schedule.GilbertElliott', 'fail': 0.1}
    """
    if isinstance(described, list):
        return [renewed(one) for one in described]
    if not isinstance(described, dict):
        return described
    found = {name: renewed(value) for name, value in described.items()}
    parts = _parts(found.get("type"))
    name = f"jdl.{parts[1]}.{parts[-1]}" if parts else ""
    if name in CLASSES:
        found["type"] = CLASSES[name]
    found = {FIELDS.get(name, {}).get(field, field): value for field, value in found.items()}
    if name == "jdl.exchange.Narrow":
        compressor = {"type": "jdl.compressors.HalfPrecision", "dtype": found["dtype"]}
        return {"type": "jdl.exchange.Compressed", "compressor": compressor, "inner": found["inner"]}
    return found


def _parts(text: Any) -> list[str]:
    """["jdl", "algorithms", "DPSGD"] or ["jdl", "algorithms", "dpsgd", "DPSGD"]; [] for what names no class of jdl."""
    parts = text.split(".") if isinstance(text, str) else []
    is_name = len(parts) > 2 and parts[0] == "jdl" and all(part.isidentifier() for part in parts)
    return parts if is_name else []
