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

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphere_theory.errors import InputError
from sphere_theory.files import StoreError, explained
from sphere_theory.streams.database import Database, Row, canonical, numbers, written
from sphere_theory.streams.entries import RunInfo, environment, experiment_id, run_id
from sphere_theory.streams.run_files import RunFiles

if TYPE_CHECKING:
    import pandas as pd


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
        Not a folder, not readable, or written by a later version of the layout. One of an earlier layout is
        opened to be read alone.
    """

    def __init__(self, path: str | Path, *, journal: str = "wal") -> None:
        self.path = Path(path)
        self._database = Database(self.path, journal)

    def require_writable(self) -> None:
        """Refuse to add to a store of an earlier layout, whose numbers no code answers for.

        Raises
        ------
        StoreError
            It is one.
        """
        self._database.require_writable()

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
        found = self._database.execute(
            "SELECT id, config, environment, created, status, edits FROM runs "
            "WHERE substr(id, 1, length(?1)) = ?1 ORDER BY created, rowid",
            (name,),
        )
        return [RunInfo(id, self._read(config), self._read(where), *end) for id, config, where, *end in found]

    def _read(self, text: str) -> Row:
        return self._database.parsed(text, dict)

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
        statement = "SELECT batch, measures, seconds FROM points WHERE run = ? ORDER BY batch"
        for batch, measures, seconds in self._database.execute(statement, (run,)):
            yield batch, numbers(self._read(measures)), numbers(self._read(seconds))

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
        self.require_writable()
        id, text = run_id(config), canonical(config)
        row = (id, text, canonical(environment), _now())
        self._database.execute("INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, 'unfinished', 0)", row)
        found = self.run(id)
        if (other := canonical(found.config)) != text:
            message = f"run {id} in {self.path} was stored under another configuration: {other}"
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
        with self._database.transaction():
            self._keep_row(run, batch, measures, seconds)
            made = "UPDATE runs SET edits = max(edits, ?) WHERE id = ?"
            self._database.execute(made, (measures["edits"], run))

    def _keep_row(self, run: str, batch: int, measures: Row, seconds: Row) -> None:
        row = (run, batch, written(measures), written(seconds))
        self._database.execute("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?)", row)

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
        self.require_writable()
        files = self.files(run)
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
        self.require_writable()
        info = other.run(run)
        with self.files(run).locked():
            had = [own for own in self._begun_with(run) if own.id == run]
            # A row that is like the other's own is what a kill on the way left, files among it.
            if any(replace(own, status=info.status, edits=info.edits) != info for own in had):
                self.forget(run)
            with self._database.transaction():
                self._database.execute("DELETE FROM runs WHERE id = ?", (run,))
                entry = (run, canonical(info.config), canonical(info.environment), info.created, info.edits)
                self._database.execute("INSERT INTO runs VALUES (?, ?, ?, ?, 'unfinished', ?)", entry)
                for batch, row, seconds in other.rows(run):
                    self._keep_row(run, batch, row, seconds)
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
        self.require_writable()
        text = "[" + ",".join(map(written, rows)) + "]"
        where = environment() if computed_with is None else computed_with
        self._database.execute(
            "INSERT OR IGNORE INTO experiments VALUES (?, ?, ?, ?, ?, ?)",
            (experiment_id(name, config), name, canonical(config), canonical(where), _now(), text),
        )

    def has_experiment(self, name: str, config: Mapping[str, Any]) -> bool:
        """Whether an experiment was kept.

        Parameters
        ----------
        name
            Of the kind.
        config
            What its rows depend on.

        Returns
        -------
        bool
            By `experiment_id`.
        """
        wanted = (experiment_id(name, config),)
        return bool(self._database.execute("SELECT 1 FROM experiments WHERE id = ?", wanted))

    def experiments(self, name: str) -> dict[str, tuple[Row, list[Row]]]:
        """What was kept of a kind of experiment, the code that computed it apart.

        Parameters
        ----------
        name
            Of the kind.

        Returns
        -------
        dict
            Configuration and rows by `experiment_id`, in the same order whenever they were kept; of what
            was measured again with other code the last.
        """
        latest: dict[str, tuple[str, Row, str]] = {}
        for id, config, rows in self._database.experiments(name):
            known = self._read(config)
            known.pop("code", None)
            latest[canonical(known)] = (id, known, rows)
        return {
            id: (known, [numbers(row) for row in self._database.parsed(rows, list)])
            for _, (id, known, rows) in sorted(latest.items())
        }

    def environments(self) -> dict[str, list[Row]]:
        """What runs and experiments were computed with.

        Returns
        -------
        dict
            "runs" and "experiments": an environment each.
        """
        found = self._database.environments()
        return {table: [self._read(text) for text in texts] for table, texts in found.items()}

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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
