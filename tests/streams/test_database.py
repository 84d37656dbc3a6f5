"""A database: made by many at once, changed wholly or not at all, and numbers that come back as they were."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import naive
import pytest

import sphere_theory
from sphere_theory.errors import RangeError
from sphere_theory.files import StoreError
from sphere_theory.streams.database import LAYOUT, Database, canonical, numbers, written

ENTER = "INSERT OR IGNORE INTO runs VALUES ('a', '{}', '{}', '', 'unfinished', 0)"


@contextmanager
def opened(folder: Path, journal: str = "wal") -> Generator[Database]:
    database = Database(folder, journal)
    try:
        yield database
    finally:
        database.close()


def test_many_processes_make_one_database(folder: Path) -> None:
    """All at once they make the folder, the tables and a row."""
    code = (
        "import sys; from pathlib import Path; from sphere_theory.streams.database import Database\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for turn in range(20):\n"
        "    database = Database(Path(sys.argv[1] + str(turn)), 'wal')\n"
        f"    database.execute({ENTER!r})\n"
        "    database.close()"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, str(folder / "new" / "store")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(Path(sphere_theory.__file__).parents[1])},
        )
        for _ in range(3)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
    for turn in range(20):
        with opened(folder / "new" / f"store{turn}") as database:
            assert database.execute("SELECT count(*) FROM runs") == [(1,)]


def test_a_database_that_is_none(folder: Path) -> None:
    (folder / "runs.sqlite").write_bytes(b"no database " * 100)
    with pytest.raises(StoreError, match=rf"^cannot use {folder}: .*file is not a database; [^\n]*$"):
        Database(folder, "wal")
    assert (folder / "runs.sqlite").read_bytes().startswith(b"no database ")


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_new_database_has_the_journal_that_was_asked_for(folder: Path, journal: str) -> None:
    for _ in range(2):
        with opened(folder / "new" / "store", journal) as database:
            assert database.execute("PRAGMA journal_mode") == [(journal,)]
            assert database.layout == LAYOUT
            assert database.environments() == {"runs": [], "experiments": []}


def test_an_unknown_journal_makes_no_folder(folder: Path) -> None:
    message = "journal: expected one of 'wal', 'delete', got 'none'"
    naive.check_refused(lambda: Database(folder / "new", "none"), RangeError, message)
    assert not (folder / "new").exists()


def entered(database: Database, *after: str) -> None:
    """A transaction of a row and of what comes after it; cut off where nothing does."""
    with database.transaction():
        database.execute(ENTER)
        for statement in after:
            database.execute(statement)
        if not after:
            raise KeyboardInterrupt


def test_a_transaction_is_done_wholly_or_not_at_all(folder: Path) -> None:
    with opened(folder) as database, opened(folder) as reader:
        with pytest.raises(KeyboardInterrupt):
            entered(database)
        with pytest.raises(StoreError, match="no such table: missing"):
            entered(database, "INSERT INTO missing VALUES (1)")
        assert reader.execute("SELECT id FROM runs") == []
        entered(database, "UPDATE runs SET edits = 3")
        assert reader.execute("SELECT edits FROM runs WHERE id = ?", ("a",)) == [(3,)]


def test_an_earlier_layout_is_read_alone_and_experiments_have_their_former_names(folder: Path) -> None:
    with opened(folder) as database:
        for name in ("upkeep", "cost"):
            database.execute(f"INSERT INTO experiments VALUES ('{name}', '{name}', '{{}}', '{{}}', '', '[]')")
        database.require_writable()
        assert database.experiments("energy-stabilization") == []
        database.execute("PRAGMA user_version = 2")
    with opened(folder) as database:
        assert database.experiments("energy-stabilization") == [("upkeep", "{}", "[]")]
        assert database.experiments("cost") == [("cost", "{}", "[]")]
        with pytest.raises(StoreError, match=f"^cannot add to {folder}: it has layout 2, "):
            database.require_writable()
        database.execute("PRAGMA user_version = 1")
    with opened(folder) as database:
        assert database.experiments("cost") == []
        assert database.environments() == {"runs": []}


@pytest.mark.parametrize("text", ["not JSON", "3", ""])
def test_text_that_was_tampered_with_is_told_in_a_line(folder: Path, text: str) -> None:
    with opened(folder) as database:
        assert database.parsed('{"a": [1]}', dict) == {"a": [1]}
        with pytest.raises(StoreError, match=f"its database was changed and now holds '{text}'$"):
            database.parsed(text, dict)


def test_numbers_come_back_as_they_were() -> None:
    row = {"a": 1 / 3, "b": math.inf, "c": -math.inf, "d": 2, "e": True, "f": "word", "g": math.nan}
    found = numbers(json.loads(written(row)))
    assert math.isnan(found.pop("g"))
    assert found == {name: value for name, value in row.items() if name != "g"}
    assert type(found["e"]) is bool


def test_the_same_values_are_the_same_text() -> None:
    text = '{"a": "η", "b": [1, 2]}'
    assert canonical({"b": (1, 2), "a": "η"}) == canonical({"a": "η", "b": [1, 2]}) == text
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical({"a": math.nan})
