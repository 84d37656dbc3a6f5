"""Models that need no hub: their names stand for folders that are there, and for weights by themselves."""

from __future__ import annotations

import pytest
import torch
from naive import needs_minilm
from safetensors.torch import save_file

from sphere_theory.errors import ModelError
from sphere_theory.models.embedded import EMBEDDED
from sphere_theory.models.weights import open_checkpoint


@pytest.mark.parametrize("name", EMBEDDED)
@needs_minilm
def test_the_files_of_an_embedded_model_are_there(name: str) -> None:
    folder = EMBEDDED[name]()
    assert list(folder.glob("*.safetensors"))
    assert open_checkpoint(name).matrices()


def test_a_name_stands_for_its_folder_alone(monkeypatch, tmp_path) -> None:
    save_file({"w": torch.ones(2, 3)}, tmp_path / "model.safetensors")
    monkeypatch.setitem(EMBEDDED, "inside", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    assert open_checkpoint("inside").shape("w") == (2, 3)
    with pytest.raises(ModelError, match=r"an existing folder or file, or a hub id .* got 'inside/of/it'"):
        open_checkpoint("inside/of/it")
