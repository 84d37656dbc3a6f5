"""The files of one run: checkpoints that it goes on from, and the updates that it kept."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sphere_theory.files import (
    InUseError,
    StoreError,
    drop_partial,
    explained,
    file_lock,
    is_whole,
    load_whole,
    save_whole,
    sync_folder,
)

_CHECKPOINTS_KEPT = 2


class DamagedCheckpointWarning(UserWarning):
    """A checkpoint whose content is not what its name says; the one before is used."""


@dataclass(frozen=True)
class RunFiles:
    """A run's folder in a store.

    Attributes
    ----------
    folder
        An existing folder with the run's full name.
    """

    folder: Path

    def __str__(self) -> str:
        return f"run {self.folder.name} in {self.folder.parent}"

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keep every other process off the run while the block lasts.

        Yields
        ------
        None
            The block holds the lock; the operating system takes it back when the process dies.

        Raises
        ------
        InUseError
            Another process holds it.
        """
        try:
            with file_lock(self.folder / "lock"):
                for folder in (self.folder, self._updates):
                    drop_partial(folder)
                yield
        except InUseError as error:
            message = f"{self} is being worked on by another process ({error})"
            raise InUseError(message) from error

    def save_checkpoint(self, batch: int, tensors: Mapping[str, Tensor]) -> Path:
        """Write what the batches after `batch` depend on, and drop all but the newest two.

        Parameters
        ----------
        batch
            Number of batches done.
        tensors
            By name.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        StoreError
            It could not be written; those before are still there.
        """
        path = save_whole(self.folder, f"checkpoint-{batch:08d}", tensors)
        # What claims to be of a later batch was found damaged, or the run would have gone on from there.
        kept = [found for found in self._checkpoints() if _batches_done(found) < batch]
        with explained(self.folder):
            for found in set(self._checkpoints()) - {path, *kept[: _CHECKPOINTS_KEPT - 1]}:
                found.unlink(missing_ok=True)
        return path

    def is_damaged(self) -> bool:
        """Whether the newest checkpoint is not what its name says.

        Returns
        -------
        bool
            False if there is none.

        Raises
        ------
        StoreError
            It cannot be read at all.
        """
        return any(not is_whole(path) for path in self._checkpoints()[:1])

    def load_checkpoint(self) -> tuple[int, dict[str, Tensor]] | None:
        """The newest checkpoint that is whole.

        Returns
        -------
        batches, tensors
            Number of batches done and what was saved; None if there is no checkpoint.

        Raises
        ------
        StoreError
            There are checkpoints and none of them is whole.

        Warns
        -----
        DamagedCheckpointWarning
            For each newer one that is not what its name says.
        """
        found = self._checkpoints()
        for path in found:
            tensors = load_whole(path)
            if tensors is not None:
                return _batches_done(path), tensors
            warnings.warn(f"{path} is damaged; using the one before", DamagedCheckpointWarning, stacklevel=2)
        if found:
            message = f"all checkpoints of {self} are damaged; delete them to begin it afresh"
            raise StoreError(message)
        return None

    def save_update(self, batch: int, tensors: Mapping[str, Tensor]) -> Path:
        """Keep ΔW of a batch: its factors "left" and "right", or "dense".

        Parameters
        ----------
        batch
            Which batch, from 0.
        tensors
            By name.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        StoreError
            It could not be written.
        """
        with explained(self._updates):
            self._updates.mkdir(exist_ok=True)
        return save_whole(self._updates, f"{batch:08d}", tensors)

    def load_update(self, batch: int) -> dict[str, Tensor]:
        """ΔW of a batch, as it was kept.

        Parameters
        ----------
        batch
            Which batch, from 0.

        Returns
        -------
        dict
            Tensors by name.

        Raises
        ------
        StoreError
            It was not kept, or is damaged.
        """
        for path in sorted(self._updates.glob(f"{batch:08d}-*.safetensors")):
            tensors = load_whole(path)
            if tensors is not None:
                return tensors
        message = f"{self} has no whole update of batch {batch}; run it with keep_updates"
        raise StoreError(message)

    def clear(self) -> None:
        """Delete all checkpoints and updates.

        Raises
        ------
        StoreError
            One could not be deleted.
        """
        with explained(self.folder):
            for path in self._tensors():
                path.unlink()

    def move_to(self, other: RunFiles) -> None:
        """Move all checkpoints and updates, and bring that to the disk.

        Parameters
        ----------
        other
            Of the same file system; files of the same name are replaced.

        Raises
        ------
        StoreError
            One could not be moved; the same call again moves the rest.
        """
        changed = {other.folder}
        with explained(other.folder):
            for path in self._tensors():
                target = other.folder / path.relative_to(self.folder)
                target.parent.mkdir(exist_ok=True)
                path.replace(target)
                changed.add(target.parent)
            for folder in changed:
                sync_folder(folder)

    @property
    def _updates(self) -> Path:
        return self.folder / "updates"

    def _tensors(self) -> Iterator[Path]:
        yield from list(self._updates.glob("*.safetensors"))
        yield from self._checkpoints()

    def _checkpoints(self) -> list[Path]:
        """Newest first."""
        return sorted(self.folder.glob("checkpoint-*.safetensors"), reverse=True)


def _batches_done(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])
