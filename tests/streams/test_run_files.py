"""The files of one run: the newest two checkpoints, updates, one process at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sphere_theory.files import InUseError, StoreError
from sphere_theory.streams.run_files import DamagedCheckpointWarning, RunFiles


@pytest.fixture
def files(folder: Path) -> RunFiles:
    return filled(folder / "a")


def filled(folder: Path) -> RunFiles:
    """Three checkpoints and two updates, each of its own number."""
    folder.mkdir()
    found = RunFiles(folder)
    for batch in range(1, 4):
        found.save_checkpoint(batch, {"weight": torch.full((2, 2), float(batch))})
    for batch in range(2):
        found.save_update(batch, {"dense": torch.full((2, 2), float(batch))})
    return found


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def checkpoints(files: RunFiles) -> list[Path]:
    return sorted(files.folder.glob("checkpoint-*"))


def weight_of(files: RunFiles) -> tuple[int, float]:
    found = files.load_checkpoint()
    assert found is not None
    return found[0], float(found[1]["weight"][0, 0])


def test_the_newest_two_checkpoints_are_kept(files: RunFiles) -> None:
    assert [path.name[:19] for path in checkpoints(files)] == ["checkpoint-00000002", "checkpoint-00000003"]
    assert weight_of(files) == (3, 3.0)


def test_a_run_that_has_none_has_none(folder: Path) -> None:
    files = RunFiles(folder)
    assert files.load_checkpoint() is None
    assert not files.is_damaged()
    with pytest.raises(StoreError, match="has no whole update of batch 0; run it with keep_updates"):
        files.load_update(0)


def test_a_damaged_checkpoint_is_passed_over(files: RunFiles) -> None:
    older, newer = checkpoints(files)
    assert not files.is_damaged()
    damage(newer)
    assert files.is_damaged()
    with pytest.warns(DamagedCheckpointWarning, match=f"{newer.name} is damaged; using the one before"):
        assert weight_of(files) == (2, 2.0)
    damage(older)
    with (
        pytest.warns(DamagedCheckpointWarning),
        pytest.raises(StoreError, match=r"all checkpoints of run a in .* are damaged; delete them"),
    ):
        files.load_checkpoint()


def test_a_checkpoint_that_claims_to_be_of_a_later_batch_is_dropped(files: RunFiles) -> None:
    """It was found damaged, or the run would have gone on from there."""
    damage(checkpoints(files)[1])
    files.save_checkpoint(3, {"weight": torch.full((2, 2), 9.0)})
    assert weight_of(files) == (3, 9.0)
    assert len(checkpoints(files)) == 2


def test_updates_come_back_by_their_batch(files: RunFiles) -> None:
    assert [float(files.load_update(batch)["dense"][0, 0]) for batch in range(2)] == [0.0, 1.0]
    for path in (files.folder / "updates").glob("00000001-*"):
        damage(path)
    with pytest.raises(StoreError, match="has no whole update of batch 1"):
        files.load_update(1)


def test_one_process_at_a_time_and_what_a_killed_one_left_is_cleared_away(files: RunFiles) -> None:
    left = [files.folder / ".checkpoint-00000001.0.partial", files.folder / "updates/.1.partial"]
    for path in left:
        path.write_bytes(b"half")
    with files.locked():
        assert not any(path.exists() for path in left)
        taken = pytest.raises(InUseError, match=r"^run a in .* is being worked on by another process")
        with taken, files.locked():
            raise AssertionError
    with files.locked():
        pass


def test_files_are_moved_over_those_of_another_and_cleared(files: RunFiles, folder: Path) -> None:
    names = {path.relative_to(files.folder) for path in files.folder.rglob("*.safetensors")}
    other = filled(folder / "b")
    files.move_to(other)
    assert {path.relative_to(other.folder) for path in other.folder.rglob("*.safetensors")} == names
    assert not list(files.folder.rglob("*.safetensors"))
    assert weight_of(other) == (3, 3.0)
    other.clear()
    assert not list(other.folder.rglob("*.safetensors"))
