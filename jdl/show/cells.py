"""A cell of a table: a value, perhaps with an interval, rounded so that its digits mean something."""

from __future__ import annotations

import math
import numbers
import re
from typing import Any, NamedTuple

__all__ = ["MISSING", "Cell", "as_latex", "as_text", "escaped"]

MISSING = "-"
# Numbers of at least the first size, or below the second, are written with a power of ten.
LARGE, SMALL = 1e5, 1e-3
SIGNIFICANT = 7  # digits of a float32


class Cell(NamedTuple):
    """A cell of a table.

    Args:
      value: a number, a text, or None where there is no value. A number that is not finite counts as none.
      spread: half the width of an interval about the number, or its two ends, or None.
      form: how the number is written where it has no spread, such as "{:.4g}". Shares of one are percentages if it ends
        in "%}".
    """

    value: Any
    spread: float | tuple[float, float] | None = None
    form: str = "{}"


class _Written(NamedTuple):
    """The pieces of a number as text.

    Args:
      center: the number.
      spread: one text behind "±", two for the ends of an interval, or none.
      exponent: the power of ten of all of them.
      percent: whether they are percentages.
    """

    center: str
    spread: tuple[str, ...] = ()
    exponent: int | None = None
    percent: bool = False


def as_text(cell: Cell) -> str:
    """The cell as text: an interval has two significant digits, and the number as many decimals.

    >>> as_text(Cell(0.91234, 0.00417)), as_text(Cell(0.91234, 0.00417, "{:.1%}")), as_text(Cell(3.2e-6, 1.23e-7))
    ('0.9123 ± 0.0042', '91.23 ± 0.42%', '(3.20 ± 0.12)e-06')
    >>> as_text(Cell(0.5, (0.412, 0.634))), as_text(Cell(0.5, None, "{:.1%}")), as_text(Cell(None))
    ('0.50 [0.41, 0.63]', '50.0%', '-')
    """
    if isinstance(cell.value, str | bool):
        return str(cell.value)
    parts = _written(cell)
    if parts is None:
        return MISSING
    text = _with_spread(parts, " ± ", ", ")
    text = f"({text})" if parts.exponent is not None and parts.spread else text
    return text + (f"e{parts.exponent:+03d}" if parts.exponent is not None else "") + "%" * parts.percent


def as_latex(cell: Cell) -> str:
    r"""The cell in LaTeX: numbers in mathematics, texts with their special characters escaped.

    >>> print(as_latex(Cell(3.2e-6, 1.23e-7)), as_latex(Cell(0.5, 0.012, "{:.1%}")), as_latex(Cell("top_k & more")))
    $(3.20 \pm 0.12) \times 10^{-6}$ $50.0 \pm 1.2\%$ top\_k \& more
    """
    if isinstance(cell.value, str | bool):
        return escaped(str(cell.value))
    parts = _written(cell)
    if parts is None:
        return "--"
    text = _with_spread(parts, r" \pm ", r",\, ")
    text = re.sub(r"(?<=\d),(?=\d)", "{,}", text)
    text = re.sub(r"e([+-]\d+)", lambda match: rf" \times 10^{{{int(match[1])}}}", text)
    if parts.exponent is not None:
        text = (f"({text})" if parts.spread else text) + rf" \times 10^{{{parts.exponent}}}"
    return f"${text}{chr(92) + '%' if parts.percent else ''}$"


def _with_spread(parts: _Written, plus_minus: str, comma: str) -> str:
    if not parts.spread:
        return parts.center
    if len(parts.spread) == 1:
        return parts.center + plus_minus + parts.spread[0]
    return f"{parts.center} [{comma.join(parts.spread)}]"


def _written(cell: Cell) -> _Written | None:
    value, percent = cell.value, cell.form.endswith("%}")
    if value is None or (isinstance(value, numbers.Real) and not math.isfinite(value)):
        return None
    ends = cell.spread if isinstance(cell.spread, tuple) else ()
    half = (ends[1] - ends[0]) / 2 if ends else cell.spread
    if half is not None and half <= abs(value) * 10.0**-SIGNIFICANT:  # values that are equal but for rounding
        half, value = 0.0, float(f"{value:.{SIGNIFICANT}g}")
    if half is None or not math.isfinite(half) or half <= 0:
        return _alone(cell.form.format(value), percent, zero=half == 0)
    scale = 100.0 if percent else 1.0
    size, exponent = max(abs(value), half), None
    if not percent and not SMALL <= size < LARGE:
        exponent = _exponent(size)
        scale = 10.0**-exponent
    # Rounded to two digits first: 0.0996 is 0.10, which has two decimals.
    decimals = 1 - _exponent(float(f"{half * scale:.1e}"))
    decimals = min(decimals, SIGNIFICANT - 1 - _exponent(size * scale))
    spread = [end * scale for end in ends] or [half * scale]
    texts = [_fixed(one, decimals) for one in spread]
    if not ends and float(texts[0].replace(",", "")) == 0:  # less than the last digit of a float32
        texts = [f"{spread[0]:.0e}"]
    return _Written(_fixed(value * scale, decimals), tuple(texts), exponent, percent)


def _alone(text: str, percent: bool, zero: bool) -> _Written:
    """A number without a spread, or with one of no width, as its format writes it."""
    text = text.removesuffix("%")
    mantissa, e, exponent = text.partition("e")
    is_power = bool(e) and exponent.lstrip("+-").isdigit()
    spread = ("0",) if zero else ()
    return _Written(mantissa, spread, int(exponent), percent) if is_power else _Written(text, spread, None, percent)


def _exponent(value: float) -> int:
    """The power of ten of the first digit of a number, 0 for zero."""
    return int(f"{value:e}".partition("e")[2])


def _fixed(value: float, decimals: int) -> str:
    return f"{round(value, decimals) + 0.0:,.{max(decimals, 0)}f}"  # + 0.0 makes -0.0 positive


SPECIAL = {
    "\\": r"\textbackslash{}",
    **{character: "\\" + character for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "\n": " ",
}


def escaped(text: str) -> str:
    r"""A text for LaTeX, with all characters escaped that mean something to it.

    >>> print(escaped("95% of a_b & #2"))
    95\% of a\_b \& \#2
    """
    return "".join(SPECIAL.get(character, character) for character in text)
