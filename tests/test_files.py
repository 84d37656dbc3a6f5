"""Tensors in files that are whole or not there, and tensors that are made once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sphere_theory import files
from sphere_theory.files import StoreError, kept_once, load_whole, save_whole

TENSORS = {
    "odd": torch.arange(3.0),
    "columns": torch.arange(12.0, dtype=torch.float64).reshape(3, 4).T,
    "number": torch.tensor(7),
    "empty": torch.zeros((4, 0)),
    "part": torch.arange(10.0)[3:5],
}


# --- files ------------------------------------------------------------------------------------------


def test_tensors_come_back_by_rows_and_aligned(folder: Path) -> None:
    path = save_whole(folder, "some", TENSORS)
    assert [found.name for found in folder.iterdir()] == [path.name]
    found = load_whole(path)
    assert found is not None
    assert set(found) == set(TENSORS)
    for name, tensor in found.items():
        assert torch.equal(tensor, TENSORS[name])
        assert tensor.is_contiguous()
        assert tensor.data_ptr() % 64 == torch.empty(tensor.shape, dtype=tensor.dtype).data_ptr() % 64 == 0
    assert save_whole(folder, "some", TENSORS) == path


def test_a_name_is_refused_to_other_content(folder: Path) -> None:
    path = save_whole(folder, "some", TENSORS)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert load_whole(path) is None
    with pytest.raises(StoreError, match=r"cannot use .*missing"):
        load_whole(folder / "missing-00.safetensors")


@pytest.mark.parametrize("broken", ["_checksum", "sync_folder"])
def test_nothing_half_written_is_left(folder: Path, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, broken, fail)
    with pytest.raises(StoreError, match="the disk is full; nothing that was stored is lost"):
        save_whole(folder, "some", TENSORS)
    assert not list(folder.glob(".*"))


def test_what_was_kept_is_not_made_again_unless_it_was_damaged(folder: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, torch.Tensor]:
        made.append(1)
        return {"value": torch.arange(4.0)}

    for _ in range(2):
        assert torch.equal(kept_once(folder / "new", "some", make)["value"], torch.arange(4.0))
    assert len(made) == 1
    (path,) = (folder / "new").glob("some-*")
    path.write_bytes(path.read_bytes()[:-1])
    assert torch.equal(kept_once(folder / "new", "some", make)["value"], torch.arange(4.0))
    assert len(made) == 2
