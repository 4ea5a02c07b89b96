"""Options that follow the name of a part, `lossy:probability=0.1`; of an option that is a part, in brackets.

`choco:compressor=[qsgd:levels=16]:gamma=0.3` is CHOCO with QSGD inside. A part that stands last needs no brackets:
`choco:gamma=0.3:compressor=qsgd:levels=16`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from jdl import checks
from jdl.command.catalogue import known, maker, options, owner_of, those_inside, usual_inside
from jdl.command.insides import PROTOCOLS, insides
from jdl.command.values import plain_type, value_of

__all__ = ["given_options", "name_of", "record_inside", "resolved", "spelled_in_full", "split", "values_of"]

Maker = Callable[..., Any]


def name_of(text: str) -> str:
    """The name of a part without the options that follow it.

    >>> name_of("lossy:probability=0.1")
    'lossy'
    """
    return text.partition(":")[0]


def spelled_in_full(kind: str, text: str) -> str:
    """A part of a list as it is spelled: its name, and each option that follows it, corrected and checked.

    Args:
      kind: "exchanges" or "oracles".
      text: `NAME`, or `NAME:OPTION=VALUE:OPTION=VALUE`, where a value may be such a text in brackets.

    Raises:
      InputError: if there is no such part or option, or if a value is not of the type of its option.

    >>> spelled_in_full("exchanges", "Lossy:probability=0.1")
    'lossy:probability=0.1'
    >>> spelled_in_full("exchanges", "rotated:inner=QSGD:levels=16")
    'rotated:inner=[qsgd:levels=16]'
    """
    name, colon, rest = text.partition(":")
    name = known(kind, name)
    return ":".join([name, *(spelled for _, _, spelled in _options(maker(kind, name), name, rest, bool(colon)))])


def values_of(kind: str, text: str) -> dict[str, Any]:
    """The values of the options that follow the name of a part, which `spelled_in_full` has checked.

    >>> values_of("exchanges", "lossy:probability=0.1")
    {'probability': 0.1}
    >>> values_of("exchanges", "rotated:inner=[natural]")
    {'inner': {'name': 'natural', 'stochastic': True}}
    """
    name, colon, rest = text.partition(":")
    return {option: value for option, value, _ in _options(maker(kind, name), name, rest, bool(colon))}


def given_options(thing: Maker, name: str, text: str) -> list[tuple[str, Any, str]]:
    """Each option in a text without a name before it: the option, its value, and how it is spelled."""
    return list(_options(thing, name, text, bool(text)))


def record_inside(thing: Maker, field: str, text: str, got: str) -> dict[str, Any]:
    """The record of an argument that is a part: its name and all its options.

    Args:
      thing: what takes it.
      field: the name of the argument.
      text: the part, as in a list.
      got: what the user wrote, for the sentence of an error.

    >>> from jdl.exchange import Choco
    >>> record_inside(Choco, "compressor", "qsgd:levels=16", "")
    {'name': 'qsgd', 'levels': 16, 'contractive': False}
    """
    return _inside(thing, field, text, got)[0]


def resolved(thing: Maker, name: str, values: dict[str, Any]) -> dict[str, Any]:
    """The values of options without those of a usual part in whose place another one is given.

    Args:
      thing: what they are options of.
      name: its name.
      values: a value for each option; of a part its record, its text, or None for the usual one.

    Raises:
      InputError: if an option is given of a part that is not there.
    """
    given, usual = {}, {one.name: one.default for one in options(thing)}
    for field in insides(thing):
        value = values.get(field)
        if value is not None:
            given[field] = record_inside(thing, field, value, f"{field}={value}") if isinstance(value, str) else value
    left = {option: value for option, value in values.items() if option not in insides(thing)}
    for option, field in owner_of(thing).items():
        if field in given and option in left:
            inside, value = usual_inside(thing, field), left.pop(option)
            need = (
                f"which is an option of its usual {field}, {inside}; write {field}=[{given[field]['name']}:...] alone"
            )
            checks.require(value == usual[option], f"got {name} with {field} and with {option}={value}, {need}")
    return left | given


def _options(thing: Maker, name: str, text: str, some: bool) -> Iterator[tuple[str, Any, str]]:
    """Each option that follows a name, its value, and how it is spelled."""
    while some:
        pair, text, some = split(text, f"{name}:{text}")
        option, _, value = (word.strip() for word in pair.partition("="))
        is_part = option in insides(thing) and "[" not in pair and not _is_number(value)
        if is_part and some:  # a part that stands last takes what follows
            pair, text, some = f"{pair}:{text}", "", False
        yield _value(thing, name, pair)


def split(text: str, got: str) -> tuple[str, str, bool]:
    """What stands before the first colon outside brackets, what stands after it, and whether there is one.

    Raises:
      InputError: if a bracket is missing.
    """
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if letter == ":" and depth == 0:
            return text[:at], text[at + 1 :], True
    checks.require(depth == 0, f"got {got}, in which a bracket is missing; write as many [ as ]")
    return text, "", False


def _value(thing: Maker, name: str, pair: str) -> tuple[str, Any, str]:
    option, equals, text = (word.strip() for word in pair.partition("="))
    found = {one.name: one for one in options(thing)}
    first = next(iter(found), None)
    checks.require(first is not None, f"got {name}:{pair}, but {name} has no options; write {name}")
    inside = next(iter(insides(thing)), None)
    is_part = not equals and inside is not None and name_of(option) in those_inside(insides(thing)[inside])
    example = f"{inside}=[{option}]" if is_part else f"{first}=VALUE"
    need = f"need an option and its value; write {name}:{example}"
    checks.require(bool(equals and option and text), f"got {name}:{pair}, {need}")
    option = checks.known(f"option of {name}", option, found)
    is_plain = option in found and found[option].default is not None and _is_number(text)  # as a clock's step may be
    if option in insides(thing) and not is_plain:
        text = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        record, spelled = _inside(thing, option, text, f"{name}:{pair}")
        return option, record, f"{option}=[{spelled}]"
    do = f"write a colon between options, {name}:{option}=VALUE:..." if "," in text else f"see `jdl list {name}`"
    kind = plain_type(found[option].type, found[option].default)
    return option, value_of(*kind, text, f"{name}:{option}={text}", do), f"{option}={text}"


def _is_number(text: str) -> bool:
    try:
        return float(text) is not None
    except ValueError:
        return False


def _inside(thing: Maker, field: str, text: str, got: str) -> tuple[dict[str, Any], str]:
    """The record of an argument that is a part, and how it is spelled."""
    protocol = insides(thing)[field]
    name, colon, rest = text.partition(":")
    name = checks.known(f"{PROTOCOLS[protocol]} in {got}:", name, those_inside(protocol))
    part = those_inside(protocol)[name]
    usual = {one.name: one.default for one in options(part)}
    outer = {one.name for one in options(thing)} - owner_of(thing).keys() - usual.keys()
    odd = next((pair for pair in rest.split(":") if pair.partition("=")[0] in outer), None)
    need = f"{odd} would be of {name}, need it outside; write {field}=[{text.replace(f':{odd}', '')}]:{odd}"
    checks.require(odd is None or "[" in rest, f"got {got}, in which {need}")
    own = list(_options(part, name, rest, bool(colon)))
    values = usual | {option: value for option, value, _ in own}
    lacks = next((option for option, value in values.items() if value is inspect.Parameter.empty), None)
    checks.require(lacks is None, f"got {got} without {lacks}, which it needs; write {field}=[{name}:{lacks}=VALUE]")
    record = resolved(part, name, values)
    return {"name": name} | record, ":".join([name, *(spelled for _, _, spelled in own)])
