"""The words of `jdl sweep` as axes: flags with lists of values, and flags that go together."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jdl import checks
from jdl.command.clock import clocks_in

__all__ = ["LISTS", "Axis", "Dimension", "axes_in", "dimensions"]

# Flags of which one value is a list of parts, as in `jdl run --network top_k lossy`.
LISTS = ("network", "network_down", "attack", "oracle", "schedule")


class Axis(NamedTuple):
    """A flag and its values.

    Args:
      flag: its name with underscores, without the hyphens before it: "lr", "top_k.fraction".
      values: the texts of its values, one or more; () for a switch such as `--own`.
    """

    flag: str
    values: tuple[str, ...]


class Dimension(NamedTuple):
    """Axes that go together: they take their first values at once, then their second, and so on."""

    axes: tuple[Axis, ...]

    @property
    def length(self) -> int:
        """The number of values."""
        return max(1, len(self.axes[0].values))


def axes_in(words: Sequence[str]) -> list[Axis]:
    r"""The flags in words, each with its values.

    Commas stand between values. A comma that belongs to a value is written `\,`. For lists of parts, "+" or a space
    stands between the parts of one value, and "none" is the empty list.

    Args:
      words: those of the command line after `jdl sweep`, without its own flags.

    Raises:
      InputError: if a word follows no flag, if a value is empty, or if a flag is given twice.

    >>> [tuple(axis) for axis in axes_in(["--lr", "0.1,0.3", "--network=none,top_k+lossy", "--own"])]
    [('lr', ('0.1', '0.3')), ('network', ('none', 'top_k+lossy')), ('own', ())]
    """
    found: dict[str, Axis] = {}
    for flag, texts in _grouped(words):
        name = flag.replace("-", "_")
        checks.require(name not in found, f"got --{flag} twice, need all values at once; write --{flag} VALUE,VALUE")
        found[name] = Axis(name, _values(flag, texts, name in LISTS) if texts else ())
    return list(found.values())


def _grouped(words: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Each flag with the words up to the next one."""
    flag, texts = None, []
    for word in words:
        if not word.startswith("--"):
            checks.require(flag is not None, f"got {word!r}, which follows no flag; see `jdl sweep --help`")
            texts.append(word)
            continue
        if flag is not None:
            yield flag, texts
        flag, equals, value = word[2:].partition("=")
        texts = [value] if equals else []
    if flag is not None:
        yield flag, texts


def _values(flag: str, texts: Sequence[str], is_list: bool) -> tuple[str, ...]:
    joined = " ".join(texts)
    if flag == "clock":  # commas may also stand between the values of one of its options
        return clocks_in(joined)
    values = [one.strip().replace("\\,", ",") for one in re.split(r"(?<!\\),", joined)]
    checks.require(all(values), f"got --{flag} {joined}, in which a value is empty; write --{flag} VALUE,VALUE")
    if is_list:
        return tuple(re.sub(r"[\s+]+", "+", one) for one in values)
    loose = [pair for pair in itertools.pairwise(texts) if not pair[0].endswith(",") and not pair[1].startswith(",")]
    need = f"need commas between values; write --{flag} {','.join(text.strip(',') for text in texts)}"
    checks.require(not loose, f"got --{flag} {joined}, {need}")
    return tuple(values)


def dimensions(axes: Sequence[Axis], zips: Sequence[str]) -> list[Dimension]:
    """Lay axes that go together into one dimension each, in the order of the first flag of each.

    Args:
      axes: all axes.
      zips: names of flags with commas between them, "lr,nodes".

    Raises:
      InputError: if such a flag is not given, if their numbers of values differ, or if one goes with several others.

    >>> [len(one.axes) for one in dimensions(axes_in("--lr 1,2 --own --nodes 4,8".split()), ["lr,nodes"])]
    [2, 1]
    """
    by_name = {axis.flag: axis for axis in axes}
    together: dict[str, tuple[Axis, ...]] = {}
    for text in zips:
        names = [name.strip().lstrip("-").replace("-", "_") for name in text.split(",")]
        checks.require(len(names) > 1, f"got --zip {text}, need two flags or more; write --zip lr,nodes")
        for name in names:
            need = "need flags of this command; give the flag, or leave it out of --zip"
            checks.require(name in by_name, f"got --zip {text}, but no --{name}, {need}")
            checks.require(name not in together, f"got {name} in --zip twice, need each flag once; leave it out")
        group = tuple(by_name[name] for name in by_name if name in names)
        counts = {axis.flag: len(axis.values) for axis in group}
        said = " and ".join(f"{count} of --{flag}" for flag, count in counts.items())
        need = "need equally many, since they go together; add values, or leave --zip out for all combinations"
        checks.require(len(set(counts.values())) == 1, f"got --zip {text} with {said}, {need}")
        together |= dict.fromkeys(names, group)
    for axis in axes:
        twice = next((value for value in axis.values if axis.values.count(value) > 1), None)
        lone = twice is None or axis.flag in together
        checks.require(lone, f"got --{axis.flag} {','.join(axis.values)}, with {twice} twice; leave one out")
    return list(dict.fromkeys(Dimension(together.get(axis.flag, (axis,))) for axis in axes))
