"""Named queries, and the files they stand in."""

import pytest

from kilocam.database import MigrationError, Room, load_queries
from kilocam.database.migrations import Migration, in_order
from kilocam.database.queries import parse_queries

GOOD = """-- name: one
-- Gives one.
select 1;

-- name: two
-- Gives two,
-- in two lines.
select
  2;
"""


def test_queries_are_found_by_name() -> None:
    assert parse_queries(GOOD, "x.sql") == {"one": "select 1", "two": "select\n  2"}


def test_a_query_without_a_description_is_refused() -> None:
    with pytest.raises(ValueError, match=r"x\.sql: query 'one' has no description"):
        parse_queries("-- name: one\nselect 1", "x.sql")


def test_a_name_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"x\.sql: query 'one' stands there twice"):
        parse_queries(GOOD + GOOD, "x.sql")


@pytest.mark.parametrize("room", ["database", "fleet"])
def test_the_files_of_the_rooms_are_in_order_and_described(room: str) -> None:
    migrations = Room(room).migrations()
    assert [migration.number for migration in migrations] == list(range(1, len(migrations) + 1))
    assert all(migration.sql.startswith("-- ") for migration in migrations)
    assert load_queries(f"kilocam.{room}")


@pytest.mark.parametrize("numbers", [(2,), (1, 3), (1, 1), (0, 1)])
def test_a_missing_or_double_number_is_refused(numbers: tuple[int, ...]) -> None:
    found = [Migration(room="x", number=n, name="y", sql="") for n in numbers]
    with pytest.raises(MigrationError, match="is missing or stands twice"):
        in_order(found)
