"""A host from outside of the package: one file and one line of the registry, and everything runs on it.

Its edits know nothing of keys that are retrieved: what they ask depends on the weights as they are, as what a
language model is to say does, and its judge has a column of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from workers import Workers

from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.problem import EditBatch, LayerMemory
from sphere_theory.hosts import registry
from sphere_theory.hosts.base import Edits, Host, Judge, Report, Row, StreamSpec
from sphere_theory.streams.grid import expand
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.runner import run_stream
from sphere_theory.streams.store import RunStore
from sphere_theory.streams.sweep import run_sweep
from sphere_theory.study.drawing import drawings
from sphere_theory.study.question import Material
from sphere_theory.study.questions.protection import QUESTION

N, D = 12, 16


@dataclass(frozen=True, eq=False)
class Wishes(Edits):
    """Each key is to move the layer's output one step along a direction, from wherever it is."""

    record: Mapping[str, Any]
    keys: Tensor
    steps: Tensor

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def digest(self) -> str:
        text = json.dumps(dict(self.record), sort_keys=True).encode()
        return hashlib.sha256(text + self.keys.numpy().tobytes() + self.steps.numpy().tobytes()).hexdigest()

    def of(self, host: Mapping[str, Any]) -> Wishes:
        return replace(self, record=dict(self.record) | host)

    def batch(self, start: int, stop: int, weight: Tensor | None = None) -> EditBatch:
        assert weight is not None, "expected the weights as they are"
        K = self.keys[start:stop].T
        return EditBatch(K, weight @ K + self.steps[start:stop].T)

    def fitted(self, W: Tensor) -> Wishes:
        return replace(self, keys=self.keys.to(W), steps=self.steps.to(W))

    def judge(self, W: Tensor, *, candidates: int, preserved_candidates: int, seed: int) -> Granted:
        return Granted(self, W)


@dataclass(frozen=True, eq=False)
class Granted(Judge):
    """A wish is granted where the output has moved along its direction at all."""

    wishes: Wishes
    W: Tensor

    def _granted(self, start: int, after: LayerMemory) -> float:
        moved = self.wishes.keys[start : after.edits] @ (after.W - self.W).T
        return float(((moved * self.wishes.steps[start : after.edits]).sum(dim=1) > 0).double().mean())

    def newest(self, before: LayerMemory, after: LayerMemory) -> Row:
        return {"granted_batch": self._granted(before.edits, after)}

    def everything(self, start: int, after: LayerMemory) -> Row:
        others = torch.eye(D, dtype=after.W.dtype) @ (after.W - self.W).T
        change = float(others.norm() / self.W.norm())
        granted = self._granted(0, after)
        shares = {"efficacy": granted, "generalisation": granted, "specificity": 1 / (1 + change)}
        return {"in_force": after.edits, **shares, "perplexity": 1 + change}


@dataclass(frozen=True)
class Toy(Host):
    """Blocks of a model that is not there."""

    layer: int = 1

    name: ClassVar[str] = "toy"
    title: ClassVar[str | None] = "Toy"
    varied: ClassVar[str] = "layer"
    editor_defaults: ClassVar[Mapping[str, Any]] = {"ridge": 3.0}

    @property
    def weights(self) -> str:
        return f"Toy block {self.layer}"

    @property
    def label(self) -> str:
        return self.weights

    @property
    def shape(self) -> tuple[int, int]:
        return N, D

    def weight(self, seed: int = 0) -> Tensor:
        return torch.randn((N, D), generator=torch.Generator().manual_seed(self.layer)) / 4

    def with_edits(
        self, W: Tensor, spec: StreamSpec, folder: Path, report: Report
    ) -> tuple[LayerMemory, Wishes]:
        generator = torch.Generator().manual_seed(spec.seed)
        keys, steps = (torch.randn((spec.edits, size), generator=generator).to(W) for size in (D, N))
        record = {"source": "wished", "order": spec.order, "seed": spec.seed, "edits": spec.edits}
        return LayerMemory(W, torch.eye(D, dtype=torch.float64)), Wishes(record, keys, steps)

    def extra_memory(self, spec: StreamSpec) -> dict[str, int]:
        return {"the rest of the model": 1000}


GRID: dict[str, Any] = {
    "model": "toy",
    "layers": [2],
    "editors": ["memit-seq"],
    "eta": [0.5],
    "alpha": [0.8],
    "seeds": [0, 1, 2],
    "edits": 40,
    "batch": 5,
    "measures": {"every": 1, "audits": False, "certificate": False},
}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one line of the registry."""
    monkeypatch.setattr(registry, "HOSTS", {**registry.HOSTS, Toy.name: Toy})


def test_a_stream_runs_on_it_with_columns_of_its_own(folder: Path) -> None:
    memory, edits = Toy(layer=3).make(StreamSpec(30), folder)
    with RunStore(folder) as store:
        run = run_stream(memory, MemitSequential(ridge=3.0), edits, Measures(every=2), store, batch=10)
        again = run_stream(memory, MemitSequential(ridge=3.0), edits, Measures(every=2), store, batch=10)
        frame = run.frame()
        config = store.run(run.id).config
    assert (run.status, again.id) == ("complete", run.id)
    assert frame["granted_batch"].notna().all()
    assert frame["perplexity"].notna().tolist() == [False, True, True]
    assert "efficacy_batch" not in frame
    assert (frame["energy"] > 0).all()
    assert (config["stream"]["model"], config["stream"]["weights"]) == ("toy", "Toy block 3")


@pytest.mark.usefixtures("known")
def test_a_grid_names_it_with_its_layers_and_its_defaults() -> None:
    tasks = expand(GRID)
    assert {task.host for task in tasks} == {Toy(layer=2)}
    assert tasks[0].editor == MemitSequential(ridge=3.0)
    assert tasks[0].memory["the rest of the model"] == 1000
    assert registry.title_of("toy") == "Toy"


@pytest.mark.usefixtures("known")
def test_a_sweep_a_question_and_a_figure(workers: Workers, folder: Path) -> None:
    with RunStore(folder) as store, workers.client() as client:
        outcomes = run_sweep(expand(GRID), store, client)
        assert [outcome.error for outcome in outcomes] == [""] * 6
        answer = "\n".join(QUESTION.answer(Material(store)))
        (drawing,) = drawings(store, ["gains"], quick=True)
    host = "Toy block 2, wished keys, random order, 12×16"
    assert f"**{host}** (6 runs, 3 seeds, to 40 edits)" in answer
    assert "| memit-seq | " in answer
    assert drawing.host == host
    assert any(axes.has_data() for axes in drawing.figure.axes)
