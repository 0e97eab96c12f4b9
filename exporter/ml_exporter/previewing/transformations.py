"""The transformations of Grafana that are known here. Each is a function of tables and its options."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ml_exporter.errors import ExporterError
from ml_exporter.previewing.fields import NUMBER, STRING, expression
from ml_exporter.previewing.reducers import HEADINGS, reduced
from ml_exporter.previewing.tables import Cell, Column, Table

Options = Mapping[str, Any]


def transformed(tables: list[Table], steps: Iterable[tuple[str, Options]]) -> list[Table]:
    """Tables after the transformations. Raises ExporterError for one that is not known here."""
    for kind, options in steps:
        if kind not in _STEPS:
            known = ", ".join(sorted(_STEPS))
            raise ExporterError(f"transformation: expected one of {known}, got {kind!r}. Look at it in Grafana.")
        tables = _STEPS[kind](tables, options)
    return tables


def _rows(table: Table) -> list[dict[str, Cell]]:
    return [
        {column.name: column.cells[index] for column in table} for index in range(len(table[0].cells) if table else 0)
    ]


def _columns(rows: Sequence[Mapping[str, Cell]], like: Sequence[Column]) -> Table:
    return tuple(replace(column, cells=tuple(row.get(column.name) for row in rows)) for column in like)


def _all_columns(tables: Sequence[Table]) -> list[Column]:
    found: dict[str, Column] = {}
    for table in tables:
        for column in table:
            found.setdefault(column.name, column)
    return list(found.values())


def _merge(tables: list[Table], _: Options) -> list[Table]:
    """One table; rows that agree in all columns that both have become one."""
    columns, merged = _all_columns(tables), list[dict[str, Cell]]()
    index: dict[tuple[tuple[str, Cell], ...], list[dict[str, Cell]]] = {}
    numbers = {column.name for column in columns if column.kind == NUMBER}
    for table in tables:
        for row in _rows(table):
            key = tuple(sorted((name, cell) for name, cell in row.items() if name not in numbers and cell is not None))
            for other in index.setdefault(key, []):
                if all(other.get(name) in (None, cell) for name, cell in row.items()):
                    other.update(row)
                    break
            else:
                index[key].append(row)
                merged.append(row)
    return [_columns(merged, columns)] if columns else []


def _join(tables: list[Table], options: Options) -> list[Table]:
    """One table with a row for each value of a field, which every table has; `outer` keeps all of them."""
    by = str(options.get("byField") or "Time")
    inner = options.get("mode") == "inner"
    rows: dict[Cell, dict[str, Cell]] = {}
    columns: dict[str, Column] = {}
    for number, table in enumerate(tables):
        names = {column.name: _unused(column.name, columns, by, number) for column in table}
        columns |= {names[column.name]: replace(column, name=names[column.name]) for column in table}
        for row in _rows(table):
            rows.setdefault(row.get(by), {}).update({names[name]: cell for name, cell in row.items()})
    sizes = [{row.get(by) for row in _rows(table)} for table in tables]
    kept = [row for key, row in rows.items() if not inner or all(key in size for size in sizes)]
    ordered = sorted(columns.values(), key=lambda column: column.name != by)
    return [_columns(kept, ordered)] if columns else []


def _unused(name: str, taken: Mapping[str, Column], by: str, number: int) -> str:
    return name if name == by or name not in taken else f"{name} {number + 1}"


def _organize(tables: list[Table], options: Options) -> list[Table]:
    """Columns left out, in another order, with other names."""
    excluded = {name for name, value in (options.get("excludeByName") or {}).items() if value}
    order, names = options.get("indexByName") or {}, options.get("renameByName") or {}
    included = {name for name, value in (options.get("includeByName") or {}).items() if value}

    def one(table: Table) -> Table:
        kept = [column for column in table if column.name not in excluded and (not included or column.name in included)]
        kept.sort(key=lambda column: order.get(column.name, len(table) + len(order)))
        return tuple(replace(column, name=names.get(column.name) or column.name) for column in kept)

    return [one(table) for table in tables]


def _filter_names(tables: list[Table], options: Options) -> list[Table]:
    """Only the columns that are named, or that an expression finds."""
    include, exclude = options.get("include") or {}, options.get("exclude") or {}

    def named(name: str, rule: Mapping[str, Any]) -> bool:
        return name in rule.get("names", ()) or bool(rule.get("pattern") and expression(rule["pattern"]).search(name))

    return [
        tuple(item for item in table if (not include or named(item.name, include)) and not named(item.name, exclude))
        for table in tables
    ]


def _sort(tables: list[Table], options: Options) -> list[Table]:
    """By one column. Missing cells come last."""
    rules = options.get("sort") or []

    def one(table: Table) -> Table:
        rows = _rows(table)
        for rule in reversed(rules):
            name, down = rule["field"], bool(rule.get("desc"))
            have = [row for row in rows if row.get(name) is not None]
            have.sort(key=lambda row: (isinstance(row[name], str), row[name]), reverse=down)
            rows = have + [row for row in rows if row.get(name) is None]
        return _columns(rows, table)

    return [one(table) for table in tables]


def _limit(tables: list[Table], options: Options) -> list[Table]:
    most = int(options.get("limitField") or 10)
    return [_columns(_rows(table)[:most], table) for table in tables]


def _reduce(tables: list[Table], options: Options) -> list[Table]:
    """A row for each number of the tables, with a column for each calculation."""
    if options.get("mode") == "reduceFields":
        raise ExporterError("transformation: expected reduce to rows, got reduceFields. Look at it in Grafana.")
    hows = options.get("reducers") or ["max"]
    numbers = [column for table in tables for column in table if column.kind == NUMBER]
    names = Column("Field", STRING, tuple(column.name for column in numbers))
    of = [
        Column(HEADINGS.get(how, how.capitalize()), NUMBER, tuple(reduced(column.cells, how) for column in numbers))  # type: ignore[arg-type]
        for how in hows
    ]
    return [(names, *of)]


def _group(tables: list[Table], options: Options) -> list[Table]:
    """A row for each value of the columns to group by."""
    fields = options.get("fields") or {}
    keys = [name for name, rule in fields.items() if rule.get("operation") == "groupby"]

    def one(table: Table) -> Table:
        groups: dict[tuple[Cell, ...], list[dict[str, Cell]]] = {}
        for row in _rows(table):
            groups.setdefault(tuple(row.get(key) for key in keys), []).append(row)
        by_name = {column.name: column for column in table}
        made = [
            replace(by_name[key], cells=tuple(group[index] for group in groups))
            for index, key in enumerate(keys)
            if key in by_name
        ]
        for name, rule in fields.items():
            for how in rule.get("aggregations") or ():
                cells = tuple(reduced((row.get(name) for row in rows), how) for rows in groups.values())  # type: ignore[misc]
                made.append(Column(f"{name} ({how})", NUMBER, cells))
        return tuple(made)

    return [one(table) for table in tables]


_STEPS: Mapping[str, Callable[[list[Table], Options], list[Table]]] = {
    "merge": _merge,
    "joinByField": _join,
    "seriesToColumns": _join,
    "organize": _organize,
    "filterFieldsByName": _filter_names,
    "sortBy": _sort,
    "limit": _limit,
    "reduce": _reduce,
    "groupBy": _group,
}
