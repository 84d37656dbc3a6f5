"""What tests of models share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from checkpoint_factory import DOWN, UP, matrix

from sphere_theory.models import storage


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    return {UP: matrix(6, 4, 1), DOWN: matrix(4, 6, 2), "h.0.up.bias": torch.zeros(6)}


@pytest.fixture
def opened(monkeypatch):
    """Every file opened as safetensors, and every tensor read out of one."""
    log: list[tuple[str, str]] = []
    real = storage.safe_open

    class Spy:
        def __init__(self, path, **options):
            self.name, self.real = Path(path).name, real(path, **options)
            log.append(("open", self.name))

        def __enter__(self):
            self.file = self.real.__enter__()
            return self

        def __exit__(self, *error):
            return self.real.__exit__(*error)

        def keys(self):
            return self.file.keys()

        def get_slice(self, name):
            return self.file.get_slice(name)

        def get_tensor(self, name):
            log.append(("read", name))
            return self.file.get_tensor(name)

    monkeypatch.setattr(storage, "safe_open", Spy)
    return log
