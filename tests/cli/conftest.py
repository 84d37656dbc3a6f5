"""What tests of commands share: a model of a few small matrices, a store with one run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from command import Ran, edit
from safetensors.torch import save_file


@pytest.fixture(scope="session")
def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "layer.0.up.weight": torch.randn(12, 8, generator=generator),
        "layer.0.down.weight": torch.randn(8, 12, generator=generator).to(torch.bfloat16),
        "layer.0.bias": torch.zeros(8),
        "dead.weight": torch.zeros(4, 3),
    }


@pytest.fixture(scope="session")
def model(tensors: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of these tensors."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_file(tensors, path)
    return str(path)


@pytest.fixture(scope="session")
def edited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A store with one run under SPHERE, and what its command said; nobody adds to it."""
    store = tmp_path_factory.mktemp("store") / "runs"
    return store, edit(store, "--sphere", "0.5", "0.8")
