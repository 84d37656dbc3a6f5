"""A matrix of a model of one's own: its shape from the header, its weights under synthetic keys."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sphere_theory.errors import ModelError
from sphere_theory.hosts.base import StreamSpec
from sphere_theory.hosts.checkpoint import CheckpointLayer


def test_a_model_of_ones_own(folder: Path) -> None:
    W = torch.randn((6, 9), generator=torch.Generator().manual_seed(0))
    save_file({"layer.weight": W}, folder / "model.safetensors")
    path = str(folder / "model.safetensors")
    host = CheckpointLayer(path, "layer.weight")
    memory, stream = host.make(StreamSpec(5), folder)
    assert host.shape == (6, 9)
    assert torch.equal(memory.W, W.double())
    assert (len(stream), stream.record["weights"]) == (5, "model.safetensors layer.weight")
    assert str(host) == f"{path} layer.weight, gaussian keys"
    with pytest.raises(ModelError):
        CheckpointLayer(path, "other.weight").make(StreamSpec(), folder)
