"""What one long call has done so far, kept against an interruption.

Results to look up later are kept by a `RunStore`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sphere_theory.errors import InputError

Record = dict[str, Any]


class Journal:
    """A growing list of records, each on disk as soon as it is made.

    The file's first line is the header, every further line one record. A run of the same header takes up
    what is there; a last line cut short is dropped. Under another header the file is begun afresh.

    Parameters
    ----------
    path
        The file, its folder made if missing; None to keep the records in memory alone.
    header
        What every record depends on: plain values.
    argument
        Name of the path in the caller's signature.

    Attributes
    ----------
    records
        All of them, those taken up first.

    Raises
    ------
    InputError
        `path` is a file of another kind, which is left as it is.
    """

    def __init__(self, path: Path | None, header: Record, argument: str = "path") -> None:
        self.path = path
        self.records: list[Record] = [] if path is None else _take_up(path, header, argument)

    def append(self, record: Record) -> Record:
        """Keep one more record.

        Parameters
        ----------
        record
            Plain values without NaN and infinity.

        Returns
        -------
        dict
            The record.
        """
        if self.path is not None:
            with self.path.open("ab") as stream:
                stream.write(_line(record))
        self.records.append(record)
        return record


def _take_up(path: Path, header: Record, argument: str) -> list[Record]:
    """The records of a file under the header; otherwise a file that holds the header alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.read_bytes() if path.exists() else b""
    complete = written[: written.rfind(b"\n") + 1]
    first, *rest = complete.splitlines(keepends=True) or [b""]
    if first == _line(header):
        with path.open("r+b") as stream:
            stream.truncate(len(complete))  # the next record must not continue a line cut short
        return [json.loads(line) for line in rest]
    if written and not _is_header(first or written):
        raise InputError(argument, "a new file, or one with records to take up", f"{path}, of another kind")
    path.write_bytes(_line(header))
    return []


def _is_header(line: bytes) -> bool:
    """Whether a first line, complete or cut short, can be one that was written here."""
    return line.startswith(b'{"')


def _line(value: Record) -> bytes:
    return (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n").encode()
