"""A docstring in parts, read by a library: Google's sections, and the three of jdl's own."""

from __future__ import annotations

import functools
from typing import NamedTuple

from docstring_parser import DocstringParam
from docstring_parser.google import DEFAULT_SECTIONS, GoogleParser, Section, SectionType

__all__ = ["Docstring", "docstring"]

OWN = ("Sends", "Memory", "References")
SECTIONS = [*DEFAULT_SECTIONS, *(Section(title, title.lower(), SectionType.SINGULAR) for title in OWN)]


class Docstring(NamedTuple):
    """What a docstring says, each part as one line of text.

    sends, memory, references: None where the docstring has no such section.
    """

    summary: str
    arguments: dict[str, str]
    sends: str | None
    memory: str | None
    references: str | None


@functools.cache
def docstring(text: str) -> Docstring:
    '''The parts of a docstring in Google's style.

    >>> docstring("""One line.
    ...
    ... Sends:
    ...   a number.
    ...
    ... Args:
    ...   rate: how fast; see
    ...     elsewhere.
    ... """)
    Docstring(summary='One line.', arguments={'rate': 'how fast; see elsewhere.'}, sends='a number.', memory=None, \
references=None)
    '''
    parsed = GoogleParser(SECTIONS).parse(text)
    arguments = {one.arg_name: _line(one.description) for one in parsed.meta if isinstance(one, DocstringParam)}
    own = {one.args[0]: _line(one.description) or None for one in parsed.meta}
    return Docstring(_line(parsed.short_description), arguments, *(own.get(title.lower()) for title in OWN))


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
