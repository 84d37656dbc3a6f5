"""What is measured once: its fields say all that its rows depend on, with the code that computes them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from sphere_theory.code import code_hash
from sphere_theory.errors import RangeError
from sphere_theory.experiments.base import Experiment, OnHost
from sphere_theory.hosts.base import Host
from sphere_theory.hosts.checkpoint import CheckpointLayer
from sphere_theory.hosts.synthetic import SyntheticLayer

FOLDER = Path("not looked at")


@dataclass(frozen=True)
class Sized(OnHost):
    """Counts entries."""

    factor: float = 1.0

    name: ClassVar[str] = "sized"

    def rows(self, folder: Path) -> list[dict[str, Any]]:
        n, d = self.host.shape
        return [{"entries": self.factor * n * d}]


def test_the_fields_are_the_configuration_the_hosts_beside_them() -> None:
    task = Sized(SyntheticLayer((3, 4)), seed=7, factor=2.0)
    assert task.config() == {
        "host": "gaussian keys, power spectrum",
        "seed": 7,
        "factor": 2.0,
        "model": "synthetic",
        "shape": (3, 4),
        "source": "gaussian",
        "spectrum": "power",
        "decay": 1.0,
    }
    json.dumps(task.config())
    assert task.rows(FOLDER) == [{"entries": 24.0}]
    assert not task.alone


def test_the_code_of_the_host_belongs_to_the_rows(tmp_path: Path) -> None:
    host = SyntheticLayer((3, 4))
    hosts: list[Host] = [host, CheckpointLayer(str(tmp_path / "model.safetensors"), "W")]
    assert len({Sized(one).code() for one in hosts}) == 2
    assert Sized(host).code() == Sized(host, factor=3.0).code() == code_hash(Sized, SyntheticLayer)


def test_a_layer_is_made_in_float64_by_the_seed() -> None:
    task = Sized(SyntheticLayer((6, 9)), seed=1)
    memory, edits = task.made(FOLDER, 5)
    assert (memory.W.shape, memory.W.dtype, len(edits)) == ((6, 9), torch.float64, 5)
    again, same = task.made(FOLDER, 5)
    assert torch.equal(again.W, memory.W)
    assert same.digest == edits.digest
    other, others = replace(task, seed=2).made(FOLDER, 5)
    assert not torch.equal(other.W, memory.W)
    assert others.digest != edits.digest


def test_the_host_refuses_what_it_cannot_be_asked() -> None:
    with pytest.raises(RangeError, match="spectrum: expected"):
        Sized(SyntheticLayer((6, 9), spectrum="pink")).made(FOLDER, 5)


def test_an_experiment_without_rows_is_none() -> None:
    with pytest.raises(TypeError, match="abstract method"):
        Experiment()
