"""Constant statements, which the driver runs: the values are those that SQLAlchemy would write and read."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Boolean, Column, Integer, MetaData, Table, Text, bindparam, func, or_, select, update

from bot.store.database import Database
from bot.store.statements import among, constant, form_of
from bot.store.tables import UtcTime

THINGS = Table(
    "things",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("at", UtcTime),
    Column("is_good", Boolean, nullable=False, default=False),
    Column("number", Integer, nullable=False, default=7),
)
ADD = constant(THINGS.insert())
ALL = constant(select(THINGS).order_by(THINGS.c.id))
SOME = constant(select(THINGS.c.id).where(among(THINGS.c.id, "ids")).order_by(THINGS.c.id))
OTHERS = constant(select(THINGS.c.id).where(~among(THINGS.c.id, "ids")).order_by(THINGS.c.id))
NAMED = constant(select(THINGS.c.id).where(THINGS.c.id.in_(["a", "c"]), THINGS.c.number == 7).order_by(THINGS.c.id))
LATER = constant(
    update(THINGS)
    .where(or_(THINGS.c.at < bindparam("before", type_=UtcTime()), THINGS.c.at.is_(None)))
    .values(number=THINGS.c.number + bindparam("more", type_=Integer))
    .returning(THINGS.c.id, THINGS.c.number)
)
COUNT = constant(select(func.count(), func.max(THINGS.c.at, type_=UtcTime())).select_from(THINGS))

NOON = datetime(2026, 3, 29, 12, 0, 0, 123456, UTC)


@pytest.fixture
async def database(database_url):
    """A database with a table of things."""
    database = Database(database_url)
    async with database.begin() as connection:
        await connection.run_sync(THINGS.metadata.create_all)
    yield database
    async with database.begin() as connection:
        await connection.run_sync(THINGS.metadata.drop_all)
    await database.close()


async def test_values_are_written_and_read_as_their_types_say(database):
    """Defaults count for columns that nobody names."""
    async with database.begin() as connection:
        added = await connection.execute(ADD, {"id": 'it\'s a "name"', "at": NOON, "is_good": True, "number": 0})
        assert added.rowcount == 1
        await connection.execute(ADD, {"id": "b", "at": None})
    async with database.read() as connection:
        rows = (await connection.execute(ALL)).all()
    assert [(row.id, row.at, row.is_good, row.number) for row in rows] == [
        ("b", None, False, 7),
        ('it\'s a "name"', NOON, True, 0),
    ]
    assert rows[1].at.tzinfo is UTC
    assert rows[0]._asdict() == {"id": "b", "at": None, "is_good": False, "number": 7}


async def test_several_rows_are_written_at_once(database):
    """One in a list is a row like any other."""
    async with database.begin() as connection:
        await connection.execute(ADD, [{"id": "a", "at": NOON}, {"id": "b", "at": None}])
        await connection.execute(ADD, [{"id": "c", "at": NOON}])
        count, newest = (await connection.execute(COUNT)).one()
    assert (count, newest) == (3, NOON)


@pytest.mark.parametrize("ids", [[], ["a"], ["a", "c", "gone"], ["'", '"', "%", "a"]])
async def test_any_number_of_ids_is_one_statement(database, ids):
    """Also none, and IDs with quotes."""
    async with database.begin() as connection:
        await connection.execute(ADD, [{"id": id_, "at": None} for id_ in ("a", "b", "c")])
        there = await connection.scalars(SOME, {"ids": ids})
        others = await connection.scalars(OTHERS, {"ids": ids})
        assert await connection.scalars(NAMED) == ["a", "c"]
    assert there == [id_ for id_ in ("a", "b", "c") if id_ in ids]
    assert others == [id_ for id_ in ("a", "b", "c") if id_ not in ids]


async def test_an_update_returns_its_rows(database):
    async with database.begin() as connection:
        await connection.execute(
            ADD, [{"id": "a", "at": NOON}, {"id": "b", "at": None}, {"id": "c", "at": NOON + timedelta(hours=1)}]
        )
        changed = await connection.execute(LATER, {"before": NOON + timedelta(minutes=1), "more": 3})
        assert sorted(changed) == [("a", 10), ("b", 10)]
        nothing = await connection.execute(LATER, {"before": NOON, "more": 0})
        assert [row.id for row in nothing] == ["b"]


async def test_a_parameter_that_is_missing_is_an_error(database):
    """Silently, it would be NULL."""
    async with database.read() as connection:
        with pytest.raises(KeyError, match="ids"):
            await connection.execute(SOME, {})


async def test_what_is_built_for_one_occasion_is_left_to_sqlalchemy(database):
    """It gives the same kind of rows."""
    occasional = select(THINGS).where(THINGS.c.id == "a")
    assert form_of(occasional, database.engine.dialect, None) is None
    async with database.begin() as connection:
        await connection.execute(ADD, {"id": "a", "at": NOON})
        row = (await connection.execute(occasional)).one()
    assert (row.id, row.at, row.number) == ("a", NOON, 7)
