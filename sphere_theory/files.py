"""Tensors in files that are whole or not there: the name holds the content's own checksum."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from uuid import uuid4

from torch import Tensor

from sphere_theory.errors import SphereTheoryError, first_line

# End of the names of files that are being written.
_PARTIAL = ".partial"

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EROFS: "it is read-only",
    errno.EACCES: "permission denied",
    errno.ENOTDIR: "it is not a folder",
    errno.EEXIST: "it is not a folder",
}


class StoreError(SphereTheoryError):
    """A store that cannot be read or written; what was in it is still there."""


class InUseError(StoreError):
    """Another process is at work on it now."""


@contextmanager
def replacing(target: Path) -> Generator[Path]:
    """Write a file that appears under its name only when it is whole.

    Parameters
    ----------
    target
        Its name; an existing folder's.

    Yields
    ------
    Path
        Where to write it. What was written stays nowhere if the block fails.
    """
    # A name of its own: two processes may write the same at once.
    partial = target.with_name(f".{target.name}.{uuid4().hex[:8]}{_PARTIAL}")
    try:
        yield partial
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def save_whole(folder: Path, stem: str, tensors: Mapping[str, Tensor]) -> Path:
    """Write tensors to a file that appears under its name only when it is whole and on the disk.

    Parameters
    ----------
    folder
        An existing folder.
    stem
        Beginning of the name.
    tensors
        By name.

    Returns
    -------
    Path
        ``folder/stem-SUM.safetensors``, SUM 16 digits of the file's SHA-256.

    Raises
    ------
    StoreError
        It could not be written; nothing is left of it.
    """
    from safetensors.torch import save_file

    # A name of its own: two processes may write the same at once.
    partial = folder / f".{stem}.{uuid4().hex[:8]}{_PARTIAL}"
    with explained(folder):
        try:
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial)
            with partial.open("r+b") as stream:
                target = folder / f"{stem}-{_checksum(stream)}.safetensors"
                os.fsync(stream.fileno())
            partial.replace(target)
            sync_folder(folder)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    return target


def drop_partial(folder: Path) -> None:
    """Delete what a killed process left half written; for a folder that nobody else writes to.

    Parameters
    ----------
    folder
        Where `save_whole` wrote.

    Raises
    ------
    StoreError
        Something could not be deleted.
    """
    with explained(folder):
        for left in folder.glob(f".*{_PARTIAL}"):
            left.unlink(missing_ok=True)


def load_whole(path: Path) -> dict[str, Tensor] | None:
    """A file's tensors, or None if it is not what its name says.

    Parameters
    ----------
    path
        As `save_whole` returned it.

    Returns
    -------
    dict or None
        Tensors by name.

    Raises
    ------
    StoreError
        It cannot be read at all.
    """
    from safetensors.torch import load_file

    with explained(path):
        if not is_whole(path):
            return None
        # Copies, which torch aligns as it did the originals: the last bits of products may depend on that.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}


def is_whole(path: Path) -> bool:
    """Whether a file is what its name says.

    Parameters
    ----------
    path
        As `save_whole` returned it.

    Returns
    -------
    bool
        False: it was damaged.

    Raises
    ------
    StoreError
        It cannot be read at all.
    """
    with explained(path), path.open("rb") as stream:
        return _checksum(stream) == path.stem.rsplit("-", 1)[1]


def kept_once(folder: Path, stem: str, make: Callable[[], Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    """Tensors that an earlier call kept, or else made and kept now.

    Of processes that ask at once one makes them; the others wait, and find them.

    Parameters
    ----------
    folder
        Where, made if missing.
    stem
        Beginning of the file's name, which tells all that the tensors depend on.
    make
        Makes them; a damaged file counts for none.

    Returns
    -------
    dict
        Tensors by name.

    Raises
    ------
    StoreError
        The folder cannot be read or written.
    """
    if (kept := _kept(folder, stem)) is not None:
        return kept
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with file_lock(folder / f".{stem}.lock", wait=True):
        if (kept := _kept(folder, stem)) is not None:
            return kept
        made = make()
        save_whole(folder, stem, made)
        return made


def _kept(folder: Path, stem: str) -> dict[str, Tensor] | None:
    found = (load_whole(path) for path in folder.glob(f"{stem}-*.safetensors"))
    return next((tensors for tensors in found if tensors is not None), None)


@contextmanager
def file_lock(path: Path, *, wait: bool = False) -> Generator[None]:
    """Hold a lock that the operating system takes back when the process dies.

    Parameters
    ----------
    path
        The lock's file, made if missing; its folder exists.
    wait
        Whether to wait for it. Default False.

    Yields
    ------
    None
        The block holds the lock; the file names the process.

    Raises
    ------
    InUseError
        Another process holds it; the message is what that process left in the file.
    StoreError
        The file cannot be made or locked.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    with explained(path):
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout as error:
            raise InUseError(path.read_text(encoding="utf-8").strip() or "unknown") from error
    try:
        with explained(path):
            path.write_text(f"process {os.getpid()}\n", encoding="utf-8")
        yield
    finally:
        lock.release()


def _checksum(stream: BufferedIOBase) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def sync_folder(folder: Path) -> None:
    """Bring renames to the disk: they are there only when their folder is.

    Parameters
    ----------
    folder
        Where files were renamed.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(path: Path) -> Generator[None]:
    """Say in one line what is wrong with the disk.

    Parameters
    ----------
    path
        What is used in the block.

    Yields
    ------
    None
        The block.

    Raises
    ------
    StoreError
        Instead of an error of the disk or of the database.
    """
    from safetensors import SafetensorError

    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        message = f"cannot use {error.filename or path}: {reason}; nothing that was stored is lost"
        raise StoreError(message) from error
    except (sqlite3.Error, SafetensorError) as error:
        message = f"cannot use {path}: {first_line(error)}; nothing that was stored is lost"
        raise StoreError(message) from error
