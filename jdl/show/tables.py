"""Tables of runs and of points of a sweep, from one neutral structure: text, Markdown, LaTeX, CSV and HTML."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from jdl.show.cells import Cell, as_latex, as_text, escaped

if TYPE_CHECKING:
    import rich.table

__all__ = ["Cell", "Table", "to_csv", "to_html", "to_latex", "to_markdown", "to_rich", "to_text"]


class Table(NamedTuple):
    """A table, before it has a format.

    Args:
      title: what the table shows, with the kind of its intervals.
      columns: the titles of the columns.
      rows: the cells, as many in each row as there are columns.
      notes: sentences below the table, for example of runs that diverged.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()

    @property
    def numeric(self) -> list[bool]:
        """Whether each column holds numbers, which are aligned at their right ends."""
        return [_are_numbers([row[k].value for row in self.rows]) for k in range(len(self.columns))]


def _are_numbers(values: Sequence[object]) -> bool:
    values = [value for value in values if value is not None]
    return bool(values) and not any(isinstance(value, str | bool) for value in values)


def _texts(table: Table, write: Callable[[Cell], str]) -> list[list[str]]:
    return [[write(cell) for cell in row] for row in table.rows]


def _padded(table: Table, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[int], list[list[str]]]:
    """The width of each column, and the title row and all others padded to it."""
    lines = [list(columns), *map(list, rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(columns))]
    aligned = [
        [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, table.numeric, strict=True)
        ]
        for line in lines
    ]
    return widths, aligned


def to_text(table: Table) -> str:
    """The table as plain text.

    >>> print(to_text(Table("accuracy", ["graph", "mean"], [[Cell("ring"), Cell(0.9, 0.012)]])))
    accuracy
    graph           mean
    ring   0.900 ± 0.012
    """
    _, lines = _padded(table, table.columns, _texts(table, as_text))
    return "\n".join([table.title] * bool(table.title) + ["  ".join(line).rstrip() for line in lines] + [*table.notes])


def to_rich(table: Table) -> rich.table.Table:
    """The table for a terminal, with its notes as the caption."""
    import rich.markup
    import rich.table

    write = lambda text: rich.markup.escape(text)
    out = rich.table.Table(title=write(table.title), title_justify="left", caption_justify="left")
    out.caption = write("\n".join(table.notes)) or None
    for title, right in zip(table.columns, table.numeric, strict=True):
        out.add_column(write(title), justify="right" if right else "left")
    for row in _texts(table, as_text):
        out.add_row(*map(write, row))
    return out


def to_markdown(table: Table) -> str:
    """The table in Markdown, its columns aligned in the source, too.

    >>> print(to_markdown(Table("", ["graph", "mean"], [[Cell("ring"), Cell(0.9, 0.012)]])))
    | graph |          mean |
    |:------|--------------:|
    | ring  | 0.900 ± 0.012 |
    """
    write = lambda text: text.replace("|", r"\|").replace("\n", " ")
    rows = [[write(text) for text in row] for row in _texts(table, as_text)]
    widths, (head, *body) = _padded(table, [write(title) for title in table.columns], rows)
    rule = [
        "-" * (width + 1) + ":" if right else ":" + "-" * (width + 1)
        for width, right in zip(widths, table.numeric, strict=True)
    ]
    lines = [f"| {' | '.join(line)} |" for line in (head, *body)]
    lines.insert(1, f"|{'|'.join(rule)}|")
    above = [f"**{table.title}**", ""] if table.title else []
    return "\n".join([*above, *lines] + [""] * bool(table.notes) + [*table.notes])


def to_latex(table: Table, caption: str | None = None, label: str | None = None) -> str:
    r"""The table in LaTeX, for `\usepackage{booktabs}`: numbers in mathematics, texts escaped, the title as a caption.

    It is written here, since `pandas.DataFrame.to_latex` needs jinja2 and knows neither ± nor powers of ten.

    Args:
      table: the table.
      caption: in LaTeX, in place of the title.
      label: the name for references.

    >>> print(to_latex(Table("95% t-interval", ["graph", "mean"], [[Cell("top_k"), Cell(0.9, 0.012)]])))
    \begin{table}
      \centering
      \caption{95\% t-interval}
      \begin{tabular}{lr}
        \toprule
        graph & mean \\
        \midrule
        top\_k & $0.900 \pm 0.012$ \\
        \bottomrule
      \end{tabular}
    \end{table}
    """
    lines = [" & ".join(row) + r" \\" for row in [[*map(escaped, table.columns)], *_texts(table, as_latex)]]
    form = "".join("r" if right else "l" for right in table.numeric)
    inside = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    said = escaped(". ".join(text.removesuffix(".") for text in [table.title, *table.notes] if text))
    caption = said if caption is None else caption
    return "\n".join(
        [r"\begin{table}", r"  \centering"]
        + [rf"  \caption{{{caption}}}"] * bool(caption)
        + [rf"  \label{{{label}}}"] * bool(label)
        + [rf"  \begin{{tabular}}{{{form}}}", *(f"    {line}" for line in inside), r"  \end{tabular}", r"\end{table}"]
    )


def to_csv(table: Table) -> str:
    """The numbers of the table with all their digits, as CSV; intervals have columns of their own.

    >>> print(to_csv(Table("", ["graph", "mean"], [[Cell("ring"), Cell(0.9, 0.0123)], [Cell("star"), Cell(0.5)]])))
    graph,mean,mean ±
    ring,0.9,0.0123
    star,0.5,
    <BLANKLINE>
    """
    spreads = [max((_ends(row[k]) for row in table.rows), default=0) for k in range(len(table.columns))]
    endings = {0: [""], 1: ["", " ±"], 2: ["", " low", " high"]}
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        title + ending for title, count in zip(table.columns, spreads, strict=True) for ending in endings[count]
    )
    for row in table.rows:
        writer.writerow(text for cell, count in zip(row, spreads, strict=True) for text in _numbers(cell, count))
    return file.getvalue()


def _ends(cell: Cell) -> int:
    return 2 if isinstance(cell.spread, tuple) else int(cell.spread is not None)


def _numbers(cell: Cell, count: int) -> list[object]:
    """The value, and its spread in `count` columns: none, half a width, or two ends."""
    spread = cell.spread
    if count == 0 or spread is None:
        return [cell.value, *[None] * count]
    if count == 1:
        return [cell.value, spread]
    return [cell.value, *(spread if isinstance(spread, tuple) else (cell.value - spread, cell.value + spread))]


def to_html(table: Table) -> str:
    """The table in HTML, as notebooks show it."""
    align = ["right" if right else "left" for right in table.numeric]
    write = lambda tag, texts: "".join(
        f"<{tag} style='text-align:{side}'>{html.escape(text)}</{tag}>" for text, side in zip(texts, align, strict=True)
    )
    rows = "".join(f"<tr>{write('td', row)}</tr>" for row in _texts(table, as_text))
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in table.notes)
    head = f"<caption style='text-align:left'>{html.escape(table.title)}</caption>" if table.title else ""
    return f"<table>{head}<tr>{write('th', table.columns)}</tr>{rows}</table>{notes}"
