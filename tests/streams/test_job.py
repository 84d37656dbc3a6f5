"""From words to a layer, an editor and a stream."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from naive import check_refused, needs_minilm
from safetensors.torch import save_file

from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.catalog import EDITORS
from sphere_theory.editing.control import Control
from sphere_theory.editing.memit import Memit
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.problem import Editor
from sphere_theory.editing.prune import Prune
from sphere_theory.editing.rome import Rome
from sphere_theory.editing.sphere import Sphere
from sphere_theory.errors import ModelError, RangeError
from sphere_theory.streams import job
from sphere_theory.streams.hosts import Recorded, minilm_weight
from sphere_theory.streams.job import MINILM_RIDGE, HostChoice, host_shape, make_editor, make_host
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.runner import run_config
from sphere_theory.streams.sources import KINDS, Synthetic
from sphere_theory.streams.store import run_id

MADE: dict[str, tuple[Callable[[], Editor], Editor]] = {
    "default": (lambda: make_editor("memit", model="synthetic"), Memit()),
    "minilm": (lambda: make_editor("memit", model="minilm"), Memit(ridge=MINILM_RIDGE)),
    "set": (lambda: make_editor("memit", model="minilm", settings=["ridge=7"]), Memit(ridge=7)),
    "no ridge": (lambda: make_editor("rome", model="minilm"), Rome()),
    "inner": (
        lambda: make_editor("prune", model="minilm", settings=["damping=2"]),
        Prune(Memit(ridge=MINILM_RIDGE, damping=2)),
    ),
    "another inner": (
        lambda: make_editor("prune", model="synthetic", settings=["editor=alphaedit", "l2=3.5"]),
        Prune(AlphaEdit(l2=3.5)),
    ),
    "sphere": (
        lambda: make_editor("memit-seq", model="minilm", sphere=(0.4, 0.9)),
        Sphere(MemitSequential(ridge=MINILM_RIDGE), eta=0.4, alpha=0.9),
    ),
    "released": (
        lambda: make_editor("memit", model="synthetic", sphere=(0.5, 0.8), policy="released"),
        Sphere(Memit(), basis="current", rows="unit", rank_rule="released"),
    ),
    "settings of SPHERE": (
        lambda: make_editor(
            "memit",
            model="minilm",
            sphere=(0.4, 1.0),
            settings=["solve_on=unprojected", "rows=unit", "damping=1"],
        ),
        Sphere(Memit(15.0, 1), 0.4, 1.0, rows="unit", solve_on="unprojected"),
    ),
    "control": (
        lambda: make_editor("memit", model="minilm", sphere=(0.4, 0.9), control="bottom", seed=3),
        Control(Memit(15.0), "bottom", 0.4, 0.9),
    ),
    "random control": (
        lambda: make_editor("memit", model="minilm", sphere=(0.4, 0.9), control="random", seed=3),
        Control(Memit(15.0), "random", 0.4, 0.9, seed=3),
    ),
    "control by name": (
        lambda: make_editor("control", model="minilm", settings=["editor=memit", "kind=random", "ridge=7"]),
        Control(Memit(7), "random"),
    ),
    "compensated": (
        lambda: make_editor("memit-seq", model="synthetic", sphere=(0.5, 0.8), compensate=True),
        Sphere(MemitSequential(), compensate=True),
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_editors_from_words(name: str) -> None:
    make, expected = MADE[name]
    assert make() == expected


@pytest.mark.parametrize("name", EDITORS)
def test_every_editor_of_the_catalog_can_be_named(name: str) -> None:
    assert make_editor(name, model="minilm").name == name


BAD_EDITORS: dict[str, tuple[Callable[[], object], str]] = {
    "name": (lambda: make_editor("mend", model="minilm"), "name: expected one of rome, memit"),
    "setting": (lambda: make_editor("memit", model="minilm", settings=["rigde=3"]), "rigde"),
    "no value": (
        lambda: make_editor("memit", model="minilm", settings=["ridge"]),
        "set: expected name=value, got 'ridge'",
    ),
    "no name": (
        lambda: make_editor("memit", model="minilm", settings=["=3"]),
        "set: expected name=value, got '=3'",
    ),
    "range": (
        lambda: make_editor("memit", model="minilm", settings=["ridge=-1"]),
        "ridge: expected a number",
    ),
    "NaN": (lambda: make_editor("memit", model="minilm", settings=["ridge=NaN"]), "ridge: expected a number"),
    "word": (
        lambda: make_editor("memit", model="minilm", settings=["ridge=big"]),
        "ridge: expected a number",
    ),
    "inner": (
        lambda: make_editor("prune", model="minilm", settings=["editor=mend"]),
        "name: expected one of rome, memit",
    ),
    "eta": (
        lambda: make_editor("memit", model="minilm", sphere=(0.0, 0.5)),
        "eta: expected a number in (0, 1]",
    ),
    "alpha": (
        lambda: make_editor("memit", model="minilm", sphere=(0.5, 3.0)),
        "alpha: expected a number in [0, 2]",
    ),
    "policy": (
        lambda: make_editor("memit", model="minilm", policy="best"),
        "policy: expected one of 'paper', 'released', got 'best'",
    ),
    "control alone": (
        lambda: make_editor("memit", model="minilm", control="random"),
        "control: expected η and α of the SPHERE that it stands for, got none",
    ),
    "control compensated": (
        lambda: make_editor(
            "memit-seq", model="minilm", sphere=(0.5, 0.8), control="random", compensate=True
        ),
        "no compensation beside it, got policy='paper', compensate=True",
    ),
    "control kind": (
        lambda: make_editor("memit", model="minilm", sphere=(0.5, 0.8), control="top"),
        "kind: expected one of 'shrink', 'random', 'bottom', got 'top'",
    ),
    "compensate alone": (
        lambda: make_editor("memit-seq", model="minilm", compensate=True),
        "compensate: expected SPHERE to compensate: --sphere ETA ALPHA, got none",
    ),
    "compensate memit": (
        lambda: make_editor("memit", model="minilm", sphere=(0.5, 0.8), compensate=True),
        "compensate: expected False, or an editor that solves with all past keys",
    ),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", BAD_EDITORS)
def test_editors_that_are_not_there(name: str) -> None:
    call, said = BAD_EDITORS[name]
    with pytest.raises(RangeError) as caught:
        call()
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_synthetic_hosts(kind: str, dtype: str, folder: Path) -> None:
    choice = HostChoice(
        "synthetic",
        shape=(6, 9),
        source=kind,
        spectrum="exponential",
        decay=2.0,
        edits=20,
        seed=4,
        dtype=dtype,
    )
    memory, stream = make_host(choice, folder)
    assert (memory.W.shape, str(memory.W.dtype)) == ((6, 9), f"torch.{dtype}")
    assert torch.equal(memory.moment(), Synthetic(kind, "exponential", 2.0, 4).second_moment(9))
    assert (len(stream), stream.batch(0, 2).keys.dtype) == (20, memory.W.dtype)
    assert stream.record["weights"] == "synthetic"
    assert not list(folder.iterdir())


def test_a_model_of_ones_own(folder: Path) -> None:
    W = torch.randn((6, 9), generator=torch.Generator().manual_seed(0))
    save_file({"layer.weight": W}, folder / "model.safetensors")
    path = str(folder / "model.safetensors")
    memory, stream = make_host(HostChoice(path, tensor="layer.weight", source="gaussian", edits=5), folder)
    assert torch.equal(memory.W, W.double())
    assert (len(stream), stream.record["weights"]) == (5, "model.safetensors layer.weight")
    with pytest.raises(ModelError):
        make_host(HostChoice(path, tensor="other.weight", source="gaussian"), folder)


def test_minilm_on_recorded_and_on_gaussian_keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Synthetic().draw(30, 12)
    recorded = Recorded("made", keys, keys, keys[:3], torch.eye(12, dtype=torch.float64), 77)
    asked: list[object] = []

    def record(layer: int, prompts: object, place: Path, **settings: object) -> Recorded:
        asked.append((layer, prompts.name, place))
        return recorded

    monkeypatch.setattr(job, "record_minilm", record)
    monkeypatch.setattr(job, "minilm_weight", lambda layer: torch.ones(5, 12) + torch.eye(5, 12) * layer)
    memory, stream = make_host(HostChoice("minilm", layer=2, edits=8), folder)
    assert asked == [(2, "packaged", folder)]
    assert (memory.samples, memory.W[0, 0], len(stream)) == (77, 3, 8)
    assert torch.equal(memory.moment(), recorded.second_moment)
    assert stream.record["source"] == "recorded"
    _, gaussian = make_host(HostChoice("minilm", source="gaussian", edits=8), folder)
    assert gaussian.record["source"] == "gaussian"
    assert gaussian.record["second_moment"] == "made"
    memory, clustered = make_host(HostChoice("minilm", source="clustered", edits=8), folder)
    assert (clustered.record["source"], memory.samples, len(asked)) == ("clustered", None, 2)
    assert [one.record["weights"] for one in (stream, gaussian, clustered)] == [
        "MiniLM layer 2",
        "MiniLM layer 3",
        "MiniLM layer 3",
    ]


def test_layers_with_the_same_numbers_are_two_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "minilm_weight", lambda layer: torch.eye(5, 12))
    choices = [HostChoice("minilm", layer=layer, source="clustered", edits=8) for layer in (1, 1, 4)]
    made = [make_host(choice, folder) for choice in choices]
    assert all(torch.equal(stream.keys, made[0][1].keys) for _, stream in made)
    names = [run_id(run_config(memory, Memit(), stream, Measures(), batch=4)) for memory, stream in made]
    assert names[0] == names[1] != names[2]


BAD_HOSTS = {
    "source": (
        lambda: HostChoice("minilm", source="books"),
        "source: expected one of 'recorded', 'gaussian', 'orthonormal', 'clustered', got 'books'",
    ),
    "recorded": (
        lambda: HostChoice("synthetic"),
        "source: expected one of gaussian, orthonormal, clustered for synthetic, got 'recorded'",
    ),
    "dtype": (
        lambda: HostChoice("synthetic", source="gaussian", dtype="float16"),
        "dtype: expected one of 'float32', 'float64', got 'float16'",
    ),
    "tensor": (
        lambda: HostChoice("model.safetensors", source="gaussian"),
        "tensor: expected the name of a matrix of model.safetensors, got nothing",
    ),
    "shape": (
        lambda: HostChoice("synthetic", source="gaussian", shape=(1, 4)),
        "shape: expected at least 2×2, got 1×4",
    ),
    "spectrum": (
        lambda: HostChoice("synthetic", source="gaussian", spectrum="pink"),
        "spectrum: expected one of 'flat', 'power', 'exponential', got 'pink'",
    ),
}


@pytest.mark.parametrize("name", BAD_HOSTS)
def test_hosts_that_are_not_there(name: str, folder: Path) -> None:
    choice, message = BAD_HOSTS[name]
    check_refused(lambda: make_host(choice(), folder), RangeError, message)


def test_the_shape_is_known_before_anything_is_made(tmp_path: Path) -> None:
    assert host_shape(HostChoice("synthetic", shape=(40_960, 143_360))) == (40_960, 143_360)
    save_file({"layer.weight": torch.zeros(3, 5)}, tmp_path / "own.safetensors")
    assert host_shape(HostChoice(str(tmp_path / "own.safetensors"), tensor="layer.weight")) == (3, 5)


@needs_minilm
def test_minilm_has_the_shape_that_is_said() -> None:
    assert host_shape(HostChoice("minilm")) == tuple(minilm_weight(3).shape)
