"""Runs on disk: SQLite for what was measured, safetensors for what the next batch depends on.

    STORE/runs.sqlite                     runs, their rows, and experiments, in WAL mode
    STORE/keys/                           recorded keys
    STORE/scratch/RUN/                    a store of its own for a run of a sweep, until it has ended
    STORE/RUN/lock                        held by the process that works on the run
    STORE/RUN/checkpoint-BATCH-SUM.safetensors      the newest two, the last of a complete run with the
                                                    weights alone; SUM is of the content's own SHA-256
    STORE/RUN/updates/BATCH-SUM.safetensors         ΔW of each batch, where the run keeps them

A file appears under its name only when it is whole and on the disk.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from sphere_theory.arrays import as_choice
from sphere_theory.errors import InputError
from sphere_theory.streams.files import StoreError, explained
from sphere_theory.streams.run_files import RunFiles

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
T = TypeVar("T")

# Seconds that another process's look at the database is waited for.
_PATIENCE = 30.0

_SCHEMA = 2  # 1 had no experiments
_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY,
    config TEXT NOT NULL,       -- JSON: editor, stream, measures, batch, dtype, device
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
    config TEXT NOT NULL,       -- JSON: what its rows depend on
    environment TEXT NOT NULL,  -- JSON: versions and threads
    created TEXT NOT NULL,      -- UTC
    rows TEXT NOT NULL          -- JSON: a list of rows as in points
);
"""


@dataclass(frozen=True)
class RunInfo:
    """One run as the store lists it.

    Attributes
    ----------
    id
        Its name: a hash of configuration and data.
    config, environment
        As it was started.
    created
        UTC, ISO 8601.
    status
        "unfinished", "complete" or "collapsed at edit N: WHY".
    edits
        Edits made so far.
    """

    id: str
    config: Row
    environment: Row
    created: str
    status: str
    edits: int


def run_id(config: Mapping[str, Any]) -> str:
    """Name of a run: 12 hexadecimal digits of the SHA-256 of its configuration.

    Parameters
    ----------
    config
        Plain values, the data's hash among them.

    Returns
    -------
    str
        The same for the same configuration.
    """
    return hashlib.sha256(_canonical(config).encode()).hexdigest()[:12]


def experiment_id(name: str, config: Mapping[str, Any]) -> str:
    """Name of an experiment, as `run_id` of a run.

    Parameters
    ----------
    name
        Of the kind.
    config
        Plain values.

    Returns
    -------
    str
        The same for the same name and configuration.
    """
    return run_id({"experiment": name, **config})


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


class RunStore:
    """A folder of runs.

    Parameters
    ----------
    path
        The folder, made if missing.
    journal
        "wal": readers look on while a run writes, all on one machine, since it needs memory that they share.
        "delete": no such memory; for a new store at which machines may take turns.

    Raises
    ------
    StoreError
        Not a folder, not readable, or written by another version of the layout.
    """

    def __init__(self, path: str | Path, *, journal: str = "wal") -> None:
        self.path = Path(path)
        self._journal = as_choice(journal, "journal", ("wal", "delete"))
        with explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                self.path / "runs.sqlite", timeout=_PATIENCE, isolation_level=None
            )
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise

    def _prepare(self) -> None:
        database = self._database
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > _SCHEMA:
            message = f"cannot use {self.path}: it has layout {version}, this version reads {_SCHEMA}"
            raise StoreError(message)
        if version == 0:
            self._set_journal()
        if version < _SCHEMA:
            database.executescript(_TABLES)
            database.execute(f"PRAGMA user_version = {_SCHEMA}")
        # FULL: a row is on the disk before a checkpoint counts on it.
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")

    def _set_journal(self) -> None:
        # SQLite does not wait here, as it does elsewhere, when another process looks at the new database.
        end = monotonic() + _PATIENCE
        while True:
            try:
                self._database.execute(f"PRAGMA journal_mode = {self._journal}")
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # whatever kind of it
                if not busy or monotonic() > end:
                    raise
                sleep(0.01)

    def close(self) -> None:
        """Close the database; the store can be opened again."""
        self._database.close()

    def __enter__(self) -> RunStore:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def runs(self) -> list[RunInfo]:
        """All runs, oldest first."""
        return self._begun_with("")

    def _begun_with(self, name: str) -> list[RunInfo]:
        """Runs whose name begins so: no other is read, since a reader of all asks for each of them."""
        with explained(self.path):
            found = self._database.execute(
                "SELECT id, config, environment, created, status, edits FROM runs "
                "WHERE substr(id, 1, length(?1)) = ?1 ORDER BY created, id",
                (name,),
            ).fetchall()
        return [RunInfo(row[0], self._read(row[1]), self._read(row[2]), *row[3:]) for row in found]

    def _read(self, text: str) -> Row:
        return self._parsed(text, dict)

    def _parsed(self, text: str, kind: Callable[[Any], T]) -> T:
        try:
            return kind(json.loads(text))
        except (ValueError, TypeError) as error:
            message = f"cannot use {self.path}: its database was changed and now holds {text[:60]!r}"
            raise StoreError(message) from error

    def _named(self, run: str) -> list[RunInfo]:
        return [info for info in self._begun_with(run) if info.id == run]

    def run(self, id: str) -> RunInfo:
        """One run.

        Parameters
        ----------
        id
            Its name, or the beginning of it.

        Returns
        -------
        RunInfo
            That run.

        Raises
        ------
        InputError
            No run, or more than one, of that name.
        """
        found = self._begun_with(id)
        if len(found) != 1 or not id:
            known = ", ".join(info.id for info in found or self.runs())
            none = f"a run, of which {self.path} has none"
            some = f"{'only one' if found else 'one'} of {known}" if known else none
            raise InputError("run", some, repr(id))
        return found[0]

    def frame(self, run: str) -> pd.DataFrame:
        """Everything measured in a run, one row a batch.

        Parameters
        ----------
        run
            Its name, or the beginning of it.

        Returns
        -------
        pandas.DataFrame
            Columns of `Measures`, NaN where a costly one was not due, and seconds_* for the time.

        Raises
        ------
        InputError
            No such run.
        """
        import pandas as pd

        rows = [
            {"batch": batch} | measures | {f"seconds_{name}": value for name, value in seconds.items()}
            for batch, measures, seconds in self.rows(self.run(run).id)
        ]
        return pd.DataFrame(rows)

    def rows(self, run: str) -> Iterator[tuple[int, Row, Row]]:
        """Rows of a run in order.

        Parameters
        ----------
        run
            Its full name.

        Yields
        ------
        batch, measures, seconds
            As they were measured.
        """
        with explained(self.path):
            found = self._database.execute(
                "SELECT batch, measures, seconds FROM points WHERE run = ? ORDER BY batch", (run,)
            ).fetchall()
        for batch, measures, seconds in found:
            yield batch, _numbers(self._read(measures)), _numbers(self._read(seconds))

    def begin(self, config: Mapping[str, Any], environment: Mapping[str, Any]) -> RunInfo:
        """Enter a run, or find the one of that configuration.

        Parameters
        ----------
        config
            What its result depends on.
        environment
            What it was computed with.

        Returns
        -------
        RunInfo
            The run.

        Raises
        ------
        StoreError
            The store cannot be written, or holds another configuration under the same name.
        """
        id, text = run_id(config), _canonical(config)
        with explained(self.path):
            self._database.execute(
                "INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, 'unfinished', 0)",
                (id, text, _canonical(environment), datetime.now(UTC).isoformat(timespec="seconds")),
            )
        found = self.run(id)
        if _canonical(found.config) != text:
            message = (
                f"run {id} in {self.path} was stored under another configuration: {_canonical(found.config)}"
            )
            raise StoreError(message)
        return found

    def record(self, run: str, batch: int, measures: Row, seconds: Row) -> None:
        """Keep the row of a batch; that of a batch done again after a resume takes the old one's place.

        Parameters
        ----------
        run
            Its full name.
        batch
            Which batch, from 0.
        measures, seconds
            The row.

        Raises
        ------
        StoreError
            The row could not be written.
        """
        with explained(self.path), self._transaction():
            self._database.execute(
                "INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?)",
                (run, batch, _written(measures), _written(seconds)),
            )
            self._database.execute(
                "UPDATE runs SET edits = max(edits, ?) WHERE id = ?", (measures["edits"], run)
            )

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            # A full disk may have undone it already.
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def finish(self, run: str, status: str) -> None:
        """Say how a run ended.

        Parameters
        ----------
        run
            Its full name.
        status
            "complete" or "collapsed at edit N: WHY".

        Raises
        ------
        StoreError
            It could not be written.
        """
        with explained(self.path):
            self._database.execute("UPDATE runs SET status = ? WHERE id = ?", (status, run))

    def forget(self, run: str) -> None:
        """Drop a run: its rows, checkpoints and updates.

        Parameters
        ----------
        run
            Its full name.

        Raises
        ------
        StoreError
            It could not be dropped.
        """
        files = self.files(run)
        with explained(self.path):
            # In this order a kill in between leaves a run that begins afresh, not one without its first rows.
            self._database.execute("UPDATE runs SET status = 'unfinished', edits = 0 WHERE id = ?", (run,))
            files.clear()
            self._database.execute("DELETE FROM runs WHERE id = ?", (run,))

    def adopt(self, other: RunStore, run: str) -> None:
        """Take an ended run over from another store of the same file system.

        What this store had of an unfinished run of that name is replaced. A kill on the way leaves the run
        unfinished here; the same call again ends it.

        Parameters
        ----------
        other
            Where the run is; its files are moved.
        run
            Its full name.

        Raises
        ------
        InUseError
            Another process works on the run in this store.
        StoreError
            It could not be taken over.
        """
        info = other.run(run)
        with self.files(run).locked(), explained(self.path):
            # A row that is like the other's own is what a kill on the way left, files among it.
            if any(replace(own, status=info.status, edits=info.edits) != info for own in self._named(run)):
                self.forget(run)
            with self._transaction():
                self._database.execute("DELETE FROM runs WHERE id = ?", (run,))
                self._database.execute(
                    "INSERT INTO runs VALUES (?, ?, ?, ?, 'unfinished', ?)",
                    (run, _canonical(info.config), _canonical(info.environment), info.created, info.edits),
                )
                self._database.executemany(
                    "INSERT INTO points VALUES (?, ?, ?, ?)",
                    ((run, n, _written(row), _written(seconds)) for n, row, seconds in other.rows(run)),
                )
            other.files(run).move_to(self.files(run))
            self.finish(run, info.status)

    def keep_experiment(
        self,
        name: str,
        config: Mapping[str, Any],
        rows: Iterable[Row],
        computed_with: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep what was measured outside of streams, in one piece; what is kept already stays.

        Parameters
        ----------
        name
            Of the kind of experiment.
        config
            What the rows depend on.
        rows
            Plain numbers and words by column.
        computed_with
            As `environment` tells it where they were computed; None: here.

        Raises
        ------
        StoreError
            They could not be written.
        """
        text = "[" + ",".join(map(_written, rows)) + "]"
        where = environment() if computed_with is None else computed_with
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with explained(self.path):
            self._database.execute(
                "INSERT OR IGNORE INTO experiments VALUES (?, ?, ?, ?, ?, ?)",
                (experiment_id(name, config), name, _canonical(config), _canonical(where), now, text),
            )

    def experiments(self, name: str) -> dict[str, tuple[Row, list[Row]]]:
        """What was kept of a kind of experiment.

        Parameters
        ----------
        name
            Of the kind.

        Returns
        -------
        dict
            Configuration and rows by `experiment_id`, in the same order whenever they were kept.
        """
        with explained(self.path):
            found = self._database.execute(
                "SELECT id, config, rows FROM experiments WHERE name = ? ORDER BY config", (name,)
            ).fetchall()
        return {
            id: (self._read(config), [_numbers(row) for row in self._parsed(rows, list)])
            for id, config, rows in found
        }

    def environments(self) -> dict[str, list[Row]]:
        """What runs and experiments were computed with.

        Returns
        -------
        dict
            "runs" and "experiments": an environment each.
        """
        with explained(self.path):
            return {
                table: [
                    self._read(text)
                    for (text,) in self._database.execute(f"SELECT environment FROM {table} ORDER BY id")
                ]
                for table in ("runs", "experiments")
            }

    def files(self, run: str) -> RunFiles:
        """Where a run's checkpoints and updates are; the folder is made if missing.

        Parameters
        ----------
        run
            Its full name.

        Returns
        -------
        RunFiles
            Those of the run.

        Raises
        ------
        StoreError
            The folder cannot be made.
        """
        with explained(self.path):
            folder = self.path / run
            folder.mkdir(exist_ok=True)
        return RunFiles(folder)


def _written(row: Row) -> str:
    """JSON has neither NaN nor infinity: null and a word stand for them."""
    plain = {
        name: (None if math.isnan(value) else str(value))
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for name, value in row.items()
    }
    return json.dumps(plain, ensure_ascii=False, allow_nan=False)


def _numbers(row: Row) -> Row:
    """A row as it was before `_written`."""
    special = {None: math.nan, "inf": math.inf, "-inf": -math.inf}
    return {
        name: special[value] if value is None or value in ("inf", "-inf") else value
        for name, value in row.items()
    }


def environment() -> Row:
    """What a run is computed with: it may change the last bits of its numbers, hence is recorded."""
    import platform

    import numpy as np

    import sphere_theory
    from sphere_theory.records import source_hash

    return {
        "package": sphere_theory.__version__,
        "source": source_hash(sphere_theory),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
    }
