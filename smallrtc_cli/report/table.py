"""A report for people: the answer, what went wrong, then the evidence in columns.

Layout is done here, once, for a given width: where the columns do not fit, limit and verdict go below their
row. No meaning is in the colours alone. The result is a rich Text, which a console prints with or without
them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap

from rich.cells import cell_len
from rich.text import Text

from smallrtc_cli.report.checks import Verdict

_STYLES = {Verdict.PASSED: "green", Verdict.FAILED: "bold red", Verdict.INCONCLUSIVE: "yellow"}
_WORDS = {Verdict.PASSED: "ok", Verdict.FAILED: "failed", Verdict.INCONCLUSIVE: "inconclusive"}
_GUTTER = 2  # columns between two columns
_INDENT = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One line of evidence; rows of a group stand together, under its name.

    `text` carries its units. `limit_text` is empty and `verdict` None for a figure that nothing is asked of.
    """

    group: str
    text: str
    limit_text: str = ""
    verdict: Verdict | None = None


def table(
    verdict: Verdict,
    headline: str,
    seconds: float,
    rows: Sequence[Row],
    *,
    width: int,
    faults: Sequence[str] = (),
) -> Text:
    """The whole report, without a final newline; no line is longer than `width` where its words allow it."""
    body = _body(rows, width)
    edge = min(width, max([76, *(line.cell_len for line in body)]))  # 76: a table of a few words looks like a table
    lines = [*_head(verdict, headline, f"{seconds:.1f} s", edge), *_faults(faults, width)]
    if body:
        lines += [Text(), *body]
    return Text("\n").join(lines)


def _head(verdict: Verdict, headline: str, took: str, edge: int) -> list[Text]:
    word = verdict.value
    indent = " " * (len(word) + 3)
    room = edge - len(indent) - len(took) - _GUTTER
    if cell_len(headline) <= room:
        filler = " " * (room - cell_len(headline) + _GUTTER)
        return [Text.assemble((word, _STYLES[verdict]), "   ", headline, filler, (took, "dim"))]
    first, *rest = _wrapped(f"{headline}   {took}", edge - len(indent))
    start = Text.assemble((word, _STYLES[verdict]), "   ", first)
    return [start, *(Text(indent + line) for line in rest)]


def _faults(faults: Sequence[str], width: int) -> Iterator[Text]:
    for fault in faults:
        for line in _wrapped(fault, width - 3 * _INDENT):
            yield Text(" " * 3 * _INDENT + line)


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(text, max(width, 16), break_long_words=False, break_on_hyphens=False) or [""]


def _body(rows: Sequence[Row], width: int) -> list[Text]:
    group = max((cell_len(row.group) for row in rows), default=0)
    held = [_cells(row)[1:] for row in rows if row.limit_text or row.verdict]  # others may reach over all columns
    columns = [group, *(max(map(cell_len, column)) for column in zip(*held, strict=True))]
    if _INDENT + sum(columns) + _GUTTER * (len(columns) - 1) <= width:
        return list(_wide(rows, columns, width))
    return list(_narrow(rows, width))


def _cells(row: Row) -> tuple[str, str, str, str]:
    limit = f"limit {row.limit_text}" if row.limit_text else ""
    return row.group, row.text, limit, "" if row.verdict is None else _WORDS[row.verdict]


def _wide(rows: Sequence[Row], columns: Sequence[int], width: int) -> Iterator[Text]:
    before = None
    for row in rows:
        name = _padded("" if row.group == before else row.group, columns[0])
        before = row.group
        if row.limit_text or row.verdict:
            yield _held(row, name, columns)
            continue
        for line in _wrapped(row.text, width - _INDENT - cell_len(name)):
            yield Text.assemble(" " * _INDENT, (name, "bold"), line)
            name = " " * cell_len(name)


def _held(row: Row, name: str, columns: Sequence[int]) -> Text:
    _, text, limit, word = _cells(row)
    line = Text.assemble(" " * _INDENT, (name, "bold"), _padded(text, columns[1]))
    line.append(_padded(limit, columns[2]), "dim")
    line.append(word, _STYLES[row.verdict] if row.verdict else "")
    line.rstrip()
    return line


def _padded(text: str, columns: int) -> str:
    return text + " " * (columns - cell_len(text) + _GUTTER)


def _narrow(rows: Sequence[Row], width: int) -> Iterator[Text]:
    for group, members in groupby(rows, key=lambda row: row.group):
        yield Text.assemble(" " * _INDENT, (group, "bold"))
        for row in members:
            _, text, limit, word = _cells(row)
            yield from (Text(" " * 3 + line) for line in _wrapped(text, width - 3))
            if limit or word:
                gap = " " * _GUTTER if limit and word else ""
                style = _STYLES[row.verdict] if row.verdict else ""
                yield Text.assemble(" " * 5, (limit, "dim"), gap, (word, style))
