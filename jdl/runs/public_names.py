"""The public name of a class of jdl, and whether two names mean the same class.

The configuration of a run names the classes of its parts by their public names, since files move but the names that a
package exports do not.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["public_name", "renewed", "same_class"]

# The former and the present names of classes, and of fields.
CLASSES = {
    "jdl.oracle.Minibatch": "jdl.oracle.DataOracle",
    "jdl.schedule.Markov": "jdl.schedule.GilbertElliott",
    "jdl.schedule.Replacement": "jdl.schedule.SamplingWithReplacement",
    "jdl.schedule.WhenApart": "jdl.schedule.EventTriggered",
    "jdl.schedule.Workers": "jdl.schedule.Availability",
}
FIELDS = {"jdl.types.Plan": {"kind": "stochastic"}}


def public_name(kind: type) -> str:
    """The name of a class of jdl in the package that exports it; module and name for any other class.

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
    """Whether two values are names of the same class of jdl, even if its file was moved within its package.

    If both names contain a module, the modules must have the same name: some packages have private classes of the same
    name in several modules.

    Args:
      was: one name, or any other value.
      now: the other.

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
    """Replace former names of classes and fields in the description of a run by their present names.

    Args:
      described: a description of a run, or a part of one, as any version of jdl wrote it.

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
    """The parts of the name of a class of jdl, such as ["jdl", "algorithms", "DPSGD"]; [] for any other value."""
    parts = text.split(".") if isinstance(text, str) else []
    is_name = len(parts) > 2 and parts[0] == "jdl" and all(part.isidentifier() for part in parts)
    return parts if is_name else []
