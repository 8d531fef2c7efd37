"""Statements that never change: SQLAlchemy compiles them once, and the driver runs them.

SQLAlchemy writes each statement and knows the types of its values. Running it through SQLAlchemy, too, costs more than
the database's own work, so only statements that are built for one occasion are run that way.
"""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from sqlalchemy import (
    BinaryExpression,
    BindParameter,
    Boolean,
    ColumnDefault,
    ColumnElement,
    CursorResult,
    Dialect,
    Executable,
    Text,
    bindparam,
    literal_column,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.operators import in_op
from sqlalchemy.sql.visitors import replacement_traverse
from sqlalchemy.types import TypeDecorator, TypeEngine

E = TypeVar("E", bound=Executable)

Row: TypeAlias = Any
"""One row of a result. Its columns are attributes, by name."""

Parameters: TypeAlias = "Mapping[str, Any] | Sequence[Mapping[str, Any]] | None"
_Convert: TypeAlias = Callable[[Any], Any]


class Rows:
    """What a statement returned: its rows, or how many it changed."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: Sequence[Row], rowcount: int = -1) -> None:
        self._rows = rows
        self.rowcount: Final = rowcount

    def __iter__(self) -> Iterator[Row]:
        """Go through the rows."""
        return iter(self._rows)

    def all(self) -> Sequence[Row]:
        """Return all rows."""
        return self._rows

    def first(self) -> Row | None:
        """Return the first row; None if there is none."""
        return self._rows[0] if self._rows else None

    def one(self) -> Row:
        """Return the only row."""
        (row,) = self._rows
        return row

    def scalar(self) -> Any:
        """Return the first column of the first row; None if there is none."""
        return self._rows[0][0] if self._rows else None

    def scalars(self) -> list[Any]:
        """Return the first column of each row."""
        return [row[0] for row in self._rows]


class Placeholder(NamedTuple):
    """What stands for a placeholder of a statement: a parameter, or a value that's written into the statement."""

    name: str
    is_given: bool
    """Whether the caller must give the parameter."""
    value: Any
    """If the caller needn't."""
    write: _Convert | None


@dataclass(frozen=True, slots=True)
class Form:
    """A statement as one kind of database takes it, and how values are converted for it and back."""

    sql: str
    placeholders: tuple[Placeholder, ...]
    make_row: Callable[[Iterable[Any]], Row] | None
    """None: it returns no rows."""
    readers: tuple[tuple[int, _Convert], ...]
    """The columns whose values are converted."""

    def arguments(self, parameters: Mapping[str, Any]) -> list[Any]:
        """Return a value for each placeholder."""
        values = []
        for name, is_given, value, write in self.placeholders:
            value = parameters[name] if is_given else parameters.get(name, value)  # noqa: PLW2901
            values.append(write(value) if write else value)
        return values

    def rows(self, found: Iterable[Sequence[Any]]) -> list[Row]:
        """Return the rows that the driver found."""
        if self.make_row is None:
            return []
        if not self.readers:
            return [self.make_row(values) for values in found]
        rows = []
        for values in map(list, found):
            for at, read in self.readers:
                values[at] = read(values[at])
            rows.append(self.make_row(values))
        return rows


_FORMS: Final[dict[Executable, dict[tuple[str, tuple[str, ...]], Form]]] = {}


def constant(statement: E) -> E:
    """Mark a statement of a module as one that never changes, and return it."""
    _FORMS[statement] = {}
    return statement


def form_of(statement: Executable, dialect: Dialect, parameters: Parameters) -> Form | None:
    """Return a constant's form for a database; None if the statement isn't a constant.

    Args:
        statement: what to run.
        dialect: SQLAlchemy's name and rules for the database.
        parameters: the names of the columns of a plain INSERT.
    """
    forms = _FORMS.get(statement)
    if forms is None:
        return None
    columns: tuple[str, ...] = ()
    if isinstance(statement, Insert) and parameters:
        columns = tuple(parameters if isinstance(parameters, Mapping) else parameters[0])
    key = dialect.name, columns
    if key not in forms:
        forms[key] = _compile(statement, dialect, columns)
    return forms[key]


def run_through_sqlalchemy(result: CursorResult[Any]) -> Rows:
    """Return what a statement returned that SQLAlchemy ran."""
    return Rows(result.all() if result.returns_rows else (), result.rowcount)


def _compile(statement: Any, dialect: Dialect, columns: Sequence[str]) -> Form:
    written_out: Any = replacement_traverse(statement, {}, lambda element, **_: _write_out(element, dialect))
    compiled: SQLCompiler = written_out.compile(
        dialect=dialect, column_keys=list(columns) or None, compile_kwargs={"render_postcompile": True}
    )
    defaults = {
        column.key: column.default.arg
        for column in compiled.insert_prefetch
        if isinstance(column.default, ColumnDefault)
    }
    found = statement.exported_columns
    readers = ((at, _impl(column.type, dialect).result_processor(dialect, None)) for at, column in enumerate(found))
    return Form(
        str(compiled),
        tuple(_placeholder(name, compiled, dialect, defaults) for name in compiled.positiontup or ()),
        _row_of(found.keys()) if len(found) else None,
        tuple((at, read) for at, read in readers if read),
    )


def _write_out(element: Any, dialect: Dialect) -> ColumnElement[Any] | None:
    """Return what stands for a value that never changes: the value itself.

    A plan that is made once for all parameters must know it, or it can't use an index of some rows only.
    """
    if not isinstance(element, BindParameter) or element.required or not isinstance(element.value, str | int):
        return None
    write = _impl(element.type, dialect).literal_processor(dialect)
    return literal_column(write(element.value), element.type) if write else None


def _row_of(columns: Sequence[str]) -> Callable[[Iterable[Any]], Row]:
    make: Any = namedtuple  # noqa: PYI024 - the columns are known at run time
    convert: Callable[[Iterable[Any]], Row] = make("Row", columns, rename=True)._make
    return convert


def _placeholder(name: str, compiled: SQLCompiler, dialect: Dialect, defaults: Mapping[str, Any]) -> Placeholder:
    bind = compiled.binds.get(name)
    if bind is None:  # one of the texts of an IN
        return Placeholder(name, is_given=False, value=compiled.params[name], write=None)
    write = _impl(bind.type, dialect).bind_processor(dialect)
    if bind.key in defaults:
        return Placeholder(bind.key, is_given=False, value=defaults[bind.key], write=write)
    return Placeholder(bind.key, bind.required, bind.effective_value, write)


def _impl(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return kind.dialect_impl(dialect)


class _Texts(TypeDecorator[Sequence[str]]):
    """Several texts as one value: an array on PostgreSQL, JSON on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Pick the value's type."""
        return dialect.type_descriptor(ARRAY(Text()) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:
        """Write them."""
        return list(value or ()) if dialect.name == "postgresql" else json.dumps(list(value or ()))


class _Among(BinaryExpression[bool]):
    """Meet the rows whose column is one of several texts: ``IN`` would need a statement for each number of them."""

    inherit_cache = True


def among(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Meet the rows whose column is one of the texts in a parameter."""
    return _Among(column, bindparam(name, type_=_Texts()), in_op, type_=Boolean())


@compiles(_Among, "postgresql")
def _any(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, texts = compiler.process(element.left, **options), compiler.process(element.right, **options)
    return f"{column} = ANY ({texts})"


@compiles(_Among, "sqlite")
def _in_json(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, texts = compiler.process(element.left, **options), compiler.process(element.right, **options)
    return f"{column} IN (SELECT value FROM json_each({texts}))"  # noqa: S608 - a placeholder
