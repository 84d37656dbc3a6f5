"""A store's SQLite database: its tables and their layout, transactions, and rows as JSON."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

from sphere_theory.arrays import as_choice
from sphere_theory.files import StoreError, explained

Row = dict[str, Any]
T = TypeVar("T")

# Seconds that another process's look at the database is waited for.
_PATIENCE = 30.0

# 1 had no experiments; runs and experiments of 1 and 2 do not say which code computed them.
LAYOUT = 3

# Names of experiments since layout 3, and before.
_FORMER_NAMES = {"energy-stabilization": "upkeep"}

_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY,
    config TEXT NOT NULL,       -- JSON: editor, stream, measures, batch, dtype, device, code
    environment TEXT NOT NULL,  -- JSON: versions and threads
    created TEXT NOT NULL,      -- UTC
    status TEXT NOT NULL,       -- 'unfinished', 'complete' or 'collapsed at edit N: WHY'
    edits INTEGER NOT NULL      -- made so far
);
CREATE TABLE IF NOT EXISTS points (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    batch INTEGER NOT NULL,
    measures TEXT NOT NULL,     -- JSON, columns by name; 'inf', '-inf' and null stand for themselves and nan
    seconds TEXT NOT NULL,      -- JSON: where the time went; no part of the result
    PRIMARY KEY (run, batch)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS experiments (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    config TEXT NOT NULL,       -- JSON: what its rows depend on, code among it
    environment TEXT NOT NULL,  -- JSON: versions and threads
    created TEXT NOT NULL,      -- UTC
    rows TEXT NOT NULL          -- JSON: a list of rows as in points
);
"""


class Database:
    """FOLDER/runs.sqlite: runs, their rows, and experiments.

    Parameters
    ----------
    folder
        Where it is, made if missing.
    journal
        "wal" or "delete", of a new one.

    Attributes
    ----------
    layout
        Of its tables: `LAYOUT`, or an earlier one that can be read alone.

    Raises
    ------
    StoreError
        Not a folder, not readable, or of a later layout.
    """

    def __init__(self, folder: Path, journal: str) -> None:
        self._folder = folder
        as_choice(journal, "journal", ("wal", "delete"))
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                folder / "runs.sqlite", timeout=_PATIENCE, isolation_level=None
            )
            try:
                self.layout = self._prepared(journal)
            except BaseException:
                self.close()
                raise

    def _prepared(self, journal: str) -> int:
        connection = self._connection
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > LAYOUT:
            message = f"cannot use {self._folder}: it has layout {version}, this version reads {LAYOUT}"
            raise StoreError(message)
        if version == 0:
            self._set_journal(journal)
            connection.executescript(_TABLES)
            connection.execute(f"PRAGMA user_version = {LAYOUT}")
        # FULL: a row is on the disk before a checkpoint counts on it.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return version or LAYOUT

    def _set_journal(self, journal: str) -> None:
        # SQLite does not wait here, as it does elsewhere, when another process looks at the new database.
        end = monotonic() + _PATIENCE
        while True:
            try:
                self._connection.execute(f"PRAGMA journal_mode = {journal}")
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # whatever kind of it
                if not busy or monotonic() > end:
                    raise
                sleep(0.01)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def require_writable(self) -> None:
        """Refuse to add to an earlier layout.

        Raises
        ------
        StoreError
            It is one.
        """
        if self.layout < LAYOUT:
            message = (
                f"cannot add to {self._folder}: it has layout {self.layout}, whose runs do not say which "
                "code computed them; it can be read as before, and another store be filled"
            )
            raise StoreError(message)

    def experiments(self, name: str) -> list[tuple[str, str, str]]:
        """What is stored of a kind of experiment, in whatever layout.

        Parameters
        ----------
        name
            Of the kind, as it is called now.

        Returns
        -------
        list of tuple
            Name, configuration and rows, JSON, oldest first.

        Raises
        ------
        StoreError
            The database cannot be read.
        """
        if self.layout == 1:
            return []
        stored = name if self.layout == LAYOUT else _FORMER_NAMES.get(name, name)
        statement = "SELECT id, config, rows FROM experiments WHERE name = ? ORDER BY created, rowid"
        return [(id, config, rows) for id, config, rows in self.execute(statement, (stored,))]

    def environments(self) -> dict[str, list[str]]:
        """What the rows of tables were computed with, as far as the layout has these tables.

        Returns
        -------
        dict
            "runs" and "experiments": JSON, in the order of names.

        Raises
        ------
        StoreError
            The database cannot be read.
        """
        return {
            table: [text for (text,) in self.execute(f"SELECT environment FROM {table} ORDER BY id")]
            for table in ("runs", "experiments")[: self.layout]
        }

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement.

        Parameters
        ----------
        statement
            SQL.
        values
            For its question marks.

        Returns
        -------
        list of tuple
            The rows that it finds.

        Raises
        ------
        StoreError
            The database cannot be read or written.
        """
        with explained(self._folder):
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Have all statements of the block done, or none of them.

        Yields
        ------
        None
            The block.

        Raises
        ------
        StoreError
            The database cannot be written.
        """
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            # A full disk may have undone it already.
            if self._connection.in_transaction:
                self.execute("ROLLBACK")
            raise

    def parsed(self, text: str, kind: Callable[[Any], T]) -> T:
        """What a column of JSON holds.

        Parameters
        ----------
        text
            As it was found.
        kind
            What it was, and is made into: dict or list.

        Returns
        -------
        dict or list
            Plain values.

        Raises
        ------
        StoreError
            It is none: another hand was at the database.
        """
        try:
            return kind(json.loads(text))
        except (ValueError, TypeError) as error:
            message = f"cannot use {self._folder}: its database was changed and now holds {text[:60]!r}"
            raise StoreError(message) from error


def canonical(value: Mapping[str, Any]) -> str:
    """Plain values as JSON, the same for the same values.

    Parameters
    ----------
    value
        Without NaN and infinity.

    Returns
    -------
    str
        Keys in order.
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def written(row: Row) -> str:
    """Numbers and words as JSON, which has neither NaN nor infinity: null and a word stand for them.

    Parameters
    ----------
    row
        By column.

    Returns
    -------
    str
        As `numbers` takes it back.
    """
    plain = {
        name: (None if math.isnan(value) else str(value))
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for name, value in row.items()
    }
    return json.dumps(plain, ensure_ascii=False, allow_nan=False)


def numbers(row: Row) -> Row:
    """A row as it was before `written`.

    Parameters
    ----------
    row
        Parsed.

    Returns
    -------
    dict
        With NaN and infinity.
    """
    special = {None: math.nan, "inf": math.inf, "-inf": -math.inf}
    return {
        name: special[value] if value is None or value in ("inf", "-inf") else value
        for name, value in row.items()
    }
