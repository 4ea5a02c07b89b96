"""The mapping from the names of nodes in a file or a graph to the rows 0, 1, ... of W."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from jdl import checks

__all__ = ["numbers_of", "say_order"]

Word = tuple[int, str]  # the line number of a name, and the name

LONGEST = 12  # the most names of nodes that a note lists


def numbers_of(n: int, words: Iterable[Word], file: Path) -> dict[str, int]:
    """The row of every name in a file. A note is printed where names are not the rows already.

    Integers below n are the rows. If there are n other integers (counted from 1, or with gaps), rows follow their
    order; if there are n words, rows follow the alphabetical order.

    Args:
      n: number of nodes.
      words: every name in the file, with its line number.
      file: path of the file, for messages.

    Raises:
      InputError: if there are not n nodes, or if most names are numbers but some are not; the message names the line.
    """
    line_of: dict[str, int] = {}
    for line, word in words:
        line_of.setdefault(word, line)
    number_of = {word: int(word) for word in line_of if word.isdecimal()}
    count = len(set(number_of.values()))
    odd = next((word for word in line_of if word not in number_of), None)
    if odd is not None and number_of:
        _refuse(n, odd, line_of[odd], file, "write whole numbers, or words for all nodes")
    if odd is not None:
        if len(line_of) != n:
            _refuse(n, odd, line_of[odd], file, f"count nodes from 0, or try n={len(line_of)}")
        say_order(sorted(line_of), str(file))
        return {word: row for row, word in enumerate(sorted(line_of))}
    if not number_of or (max(number_of.values()) < n and 0 in number_of.values()):
        return number_of
    if count != n:
        outside = next((word for word, number in number_of.items() if number >= n), None)
        low, high = min(number_of.values()), max(number_of.values())
        if outside is not None:
            _refuse(n, outside, line_of[outside], file, f"count nodes from 0, or try n={count}")
        got = f"got {count} nodes in {file}, numbered from {low} to {high}, need n={n} of them"
        raise checks.InputError(f"{got}; try n={count}")
    order = sorted(set(number_of.values()))
    if order == list(range(1, n + 1)):
        checks.note(f"{file} counts its nodes from 1: its node 1 is node 0 here, and so on")
    else:
        say_order(list(map(str, order)), str(file))
    row_of = {number: row for row, number in enumerate(order)}
    return {word: row_of[number] for word, number in number_of.items()}


def say_order(names: list[str], where: str) -> None:
    """Print a note on which node is which row, because the names of nodes are not kept."""
    listed = ", ".join(names[:LONGEST]) + (f", ... and {names[-1]}" if len(names) > LONGEST else "")
    checks.note(f"the nodes of {where} are numbered from 0 to {len(names) - 1} here, in the order {listed}")


def _refuse(n: int, word: str, line: int, file: Path, do: str) -> None:
    need = f"need node numbers from 0 to {n - 1} for n={n}"
    raise checks.InputError(f"got {word!r} in line {line} of {file}, {need}; {do}")
