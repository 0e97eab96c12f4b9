"""Single numbers, bars and tables."""

import math
from collections.abc import Iterator, Sequence

from ml_exporter.previewing.answers import Answer
from ml_exporter.previewing.dashboards import Panel
from ml_exporter.previewing.fields import NUMBER, STRING, TIME, Field, Shown, expression, field
from ml_exporter.previewing.links import Context, addresses
from ml_exporter.previewing.reducers import reduced
from ml_exporter.previewing.tables import Cell as Value
from ml_exporter.previewing.tables import Column, Table, frames
from ml_exporter.previewing.times import iso
from ml_exporter.previewing.transformations import transformed
from ml_exporter.previewing.views import Bars, Cell, Nothing, Number, Numbers, Rows, View


def numbers(panel: Panel, answers: Sequence[Answer], context: Context) -> View:
    """A number a series, or a row where the panel says so. Raises ExporterError."""
    found = list(_numbers(panel, answers, context))
    if not found:
        return Nothing()
    mode = panel.options.get("textMode", "auto")
    named = mode in ("value_and_name", "name") or (mode == "auto" and len(found) > 1)
    return Numbers(tuple(_named(item, named, mode) for item in found))


def _named(item: Number, named: bool, mode: str) -> Number:
    if mode == "name":
        return Number("", Shown(item.name, item.shown.color), links=item.links)
    return item if named else Number("", item.shown, item.share, item.trend, item.links)


def bars(panel: Panel, answers: Sequence[Answer], context: Context) -> View:
    """Numbers as bars. Raises ExporterError."""
    if panel.kind == "barchart":
        panel_rows = list(_of_rows(panel, _tables(panel, answers), context))
        return Bars(_shared(panel_rows)) if panel_rows else Nothing()
    found = list(_numbers(panel, answers, context))
    return Bars(tuple(found)) if found else Nothing()


def _tables(panel: Panel, answers: Sequence[Answer]) -> list[Table]:
    return transformed(frames(answers), panel.transformations)


def _numbers(panel: Panel, answers: Sequence[Answer], context: Context) -> Iterator[Number]:
    options, tables = panel.options.get("reduceOptions", {}), _tables(panel, answers)
    if options.get("values"):
        yield from _shared(list(_of_rows(panel, tables, context)))
        return
    how = next(iter(options.get("calcs") or ()), "lastNotNull")
    chosen = expression(options["fields"]) if options.get("fields") else None
    columns = [
        (column, _labels(column, answers))
        for table in tables
        for column in table
        if (chosen.search(column.name) if chosen else column.kind == NUMBER) and column.cells
    ]
    graphed = panel.options.get("graphMode", "area") != "none"
    found = []
    for column, labels in columns:
        own = field(panel, column.name, ref=column.ref)
        values = tuple(cell for cell in column.cells if not isinstance(cell, str) and cell is not None)
        value: Value = reduced(values, how) if values else column.cells[-1]
        shown = own.shown(value if value is not None else math.nan)
        trend = values if graphed and len(values) > 1 else ()
        found.append((own, value, Number(own.name, shown, None, trend, addresses(own, context, labels, shown.text))))
    yield from _placed(found)


def _labels(column: Column, answers: Sequence[Answer]) -> dict[str, str]:
    """The labels of the series that a column shows, where it is one."""
    for answer in answers:
        for item in answer.series:
            if answer.target.ref == column.ref and item.values == column.cells:
                return dict(item.labels)
    return {}


def _of_rows(panel: Panel, tables: Sequence[Table], context: Context) -> Iterator[tuple[Field, Value, Number]]:
    """A number a row and column, named by the texts of the row."""
    for table in tables:
        texts = [column for column in table if column.kind == STRING]
        of_numbers = [column for column in table if column.kind == NUMBER]
        for index in range(len(table[0].cells) if table else 0):
            row = {column.name: str(column.cells[index]) for column in table}
            name = " ".join(str(column.cells[index]) for column in texts if column.cells[index] is not None)
            for column in of_numbers:
                value = column.cells[index]
                own = field(panel, column.name, ref=column.ref)
                shown = own.shown(value if value is not None else math.nan)
                full = name if len(of_numbers) == 1 else f"{name} {own.name}".strip()
                yield own, value, Number(full, shown, None, (), addresses(own, context, row, shown.text))


def _shared(found: Sequence[tuple[Field, Value, Number]]) -> tuple[Number, ...]:
    return tuple(_placed(found))


def _placed(found: Sequence[tuple[Field, Value, Number]]) -> Iterator[Number]:
    """Each with its place between the least and the most: those of its field, else of all, and zero."""
    finite = [value for _, value, _ in found if isinstance(value, float) and math.isfinite(value)]
    for own, value, item in found:
        low = float(own.get("min", min([0.0, *finite])))
        high = float(own.get("max", max([0.0, *finite])))
        inside = isinstance(value, float) and math.isfinite(value) and high > low
        share = min(max((value - low) / (high - low), 0.0), 1.0) if inside else None  # type: ignore[operator]
        yield Number(item.name, item.shown, share, item.trend, item.links)


def rows(panel: Panel, answers: Sequence[Answer], context: Context) -> View:
    """A table; several that were not merged are one below the other with all columns. Raises ExporterError."""
    tables = [table for table in _tables(panel, answers) if table and table[0].cells]
    if not tables:
        return Nothing()
    columns: dict[str, Column] = {column.name: column for table in reversed(tables) for column in table}
    names = list(dict.fromkeys(column.name for table in tables for column in table))
    fields = {name: field(panel, name, columns[name].kind, columns[name].ref) for name in names}
    kept = [name for name in names if not fields[name].is_hidden]
    made = [row for table in tables for row in _cells(table, kept, fields, context)]
    return Rows(tuple(fields[name].name for name in kept), tuple(made))


def _cells(
    table: Table, names: Sequence[str], fields: dict[str, Field], context: Context
) -> Iterator[tuple[Cell, ...]]:
    have = {column.name: column for column in table}
    for index in range(len(table[0].cells)):
        row = {column.name: "" if column.cells[index] is None else str(column.cells[index]) for column in table}
        yield tuple(
            _cell(have[name], have[name].cells[index], fields[name], context, row) if name in have else Cell(Shown(""))
            for name in names
        )


def _cell(column: Column, value: Value, own: Field, context: Context, row: dict[str, str]) -> Cell:
    if value is None:
        return Cell(own.shown(""))
    if column.kind == TIME and isinstance(value, float):
        return Cell(Shown(iso(value)))
    shown = own.shown(value)
    if own.get("custom.cellOptions", {}).get("type", "auto") in ("auto", "json-view") and column.kind == NUMBER:
        mapped = bool(own.get("mappings"))
        shown = shown if mapped else Shown(shown.text)
    return Cell(shown, addresses(own, context, row, shown.text), column.kind == NUMBER)
