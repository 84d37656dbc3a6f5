"""Grids: what they stand for, and what is refused, by name."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from naive import check_refused

from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.control import Control
from sphere_theory.editing.memit import Memit
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.sphere import Sphere
from sphere_theory.errors import InputError, RangeError
from sphere_theory.hosts.base import StreamSpec
from sphere_theory.hosts.checkpoint import CheckpointLayer
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.streams.grid import EXAMPLE, expand, read_grid
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.specs import Task

SMALL: dict[str, Any] = {"model": "minilm", "editors": ["memit"]}


def test_the_example() -> None:
    tasks = expand(tomllib.loads(EXAMPLE))
    bases = [MemitSequential(ridge=15.0), AlphaEdit(), Memit(ridge=50.0)]
    spheres = [(0.3, 0.5), (0.3, 0.8), (0.5, 0.5), (0.5, 0.8)]
    editors = [e for base in bases for e in (base, *(Sphere(base, eta=h, alpha=a) for h, a in spheres))]
    streams = [StreamSpec(3000, order, seed) for order in ("random", "clustered") for seed in (0, 1, 2)]
    every = Measures(every=5)
    assert tasks == [Task(MiniLM(3), stream, editor, every) for stream in streams for editor in editors]


def test_the_page_about_sweeps() -> None:
    page = (Path(__file__).parents[2] / "docs/sweeps.md").read_text(encoding="utf-8")
    assert f"```toml\n{EXAMPLE}```" in page
    cells = re.findall(r"^\| (`.*?) \|", page, flags=re.M)
    named = [key for cell in cells for key in re.findall(r"`\[?(\w+)\]?`", cell)]
    assert sorted(named) == sorted(KEYS.split(", "))


def test_little_has_to_be_said() -> None:
    assert expand(SMALL) == [Task(MiniLM(), StreamSpec(), Memit(ridge=15.0), Measures())]
    (task,) = expand({"model": "synthetic", "editors": ["memit"]})
    assert task.host == SyntheticLayer()


def test_all_can_be_said() -> None:
    grid = {
        "model": "some/model",
        "tensors": ["a.weight", "b.weight"],
        "editors": [{"name": "memit-seq", "ridge": 7.0}],
        "eta": [1],
        "alpha": [0.5],
        "plain": False,
        "policy": "released",
        "seeds": [4],
        "orders": ["similarity"],
        "source": "clustered",
        "spectrum": "flat",
        "decay": 2.0,
        "edits": 30,
        "noise": 0.2,
        "batch": 7,
        "dtype": "float32",
        "device": "cuda",
        "keep_updates": True,
        "threads": 2,
        "measures": {"every": 3, "audits": False},
    }
    tasks = expand(grid)
    assert [task.host.tensor for task in tasks] == ["a.weight", "b.weight"]
    host = CheckpointLayer("some/model", "b.weight", "clustered", "flat", 2.0)
    stream = StreamSpec(30, "similarity", 4, 0.2, "float32", "cuda")
    editor = Sphere.released(MemitSequential(ridge=7.0), eta=1.0, alpha=0.5)
    assert tasks[1] == Task(host, stream, editor, Measures(every=3, audits=False), 7, True, 2)


def test_every_run_stands_once() -> None:
    twice = expand(SMALL | {"editors": ["memit", {"name": "memit", "ridge": 15.0}], "seeds": [1, 1]})
    assert len(twice) == 1


def test_compensation_is_of_sphere_alone() -> None:
    plain, sphere = expand(
        SMALL | {"editors": ["memit-seq"], "eta": [0.5], "alpha": [0.8], "compensate": True}
    )
    assert plain.editor == MemitSequential(ridge=15.0)
    assert sphere.editor == Sphere(plain.editor, eta=0.5, alpha=0.8, compensate=True)


def test_controls_stand_beside_sphere_with_the_seed_of_the_stream() -> None:
    grid = {"eta": [0.3, 0.5], "alpha": [0.8], "controls": ["shrink", "random"], "seeds": [4, 5]}
    tasks = expand(SMALL | grid)
    memit = Memit(ridge=15.0)
    for seed in (4, 5):
        expected = [memit]
        for eta in (0.3, 0.5):
            expected += [Sphere(memit, eta, 0.8), Control(memit, "shrink", eta, 0.8)]
            expected += [Control(memit, "random", eta, 0.8, seed)]
        assert [task.editor for task in tasks if task.stream.seed == seed] == expected
    without = expand(SMALL | grid | {"plain": False, "alpha": [0.0]})
    assert len(without) == 12


def test_options_of_sphere_stand_with_an_editor_that_never_goes_without() -> None:
    grid = SMALL | {"editors": [{"name": "memit-seq", "basis": "current"}], "eta": [0.5], "alpha": [0.8]}
    (task,) = expand(grid | {"plain": False})
    assert task.editor == Sphere(MemitSequential(ridge=15.0), basis="current")
    with pytest.raises(
        RangeError, match="editors, memit-seq: overrides: expected hyperparameters of memit-seq"
    ):
        expand(grid)


def test_layers_and_orders() -> None:
    tasks = expand(SMALL | {"layers": [0, 5], "orders": ["random", "clustered"]})
    assert [(task.host.layer, task.stream.order) for task in tasks] == [
        (0, "random"),
        (0, "clustered"),
        (5, "random"),
        (5, "clustered"),
    ]


def test_tasks_in_words() -> None:
    plain, sphere, control = expand(SMALL | {"eta": [0.5], "alpha": [0.8], "controls": ["random"]})
    rest = "Memit(ridge=15.0, damping=0.0) on minilm layer 3, recorded keys, order random, seed 0"
    assert str(plain) == rest
    assert str(sphere) == f"SPHERE η=0.5 α=0.8 of {rest}"
    assert str(control) == f"random subspace for η=0.5 α=0.8 of {rest}"


def test_paths_count_from_the_grid(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    grid = tmp_path / "grid.toml"
    text = 'model = "{}"\neditors = ["memit"]\n{}\n'
    for model, expected in (
        ("model.safetensors", str(tmp_path / "model.safetensors")),
        ("org/model", "org/model"),
    ):
        grid.write_text(text.format(model, 'tensors = ["W"]'))
        assert read_grid(grid)[0].host.model == expected
    grid.write_text(text.format("minilm", 'data = "facts.json"'))
    assert read_grid(grid)[0].host.data == tmp_path / "facts.json"


KEYS = (
    "model, editors, eta, alpha, controls, plain, policy, compensate, seeds, layers, tensors, orders, shape, "
    "source, data, spectrum, decay, edits, noise, batch, dtype, device, keep_updates, threads, measures"
)
MEASURES = "every, early, candidates, preserved_candidates, eta, audits, certificate, seed"

BAD: dict[str, tuple[dict[str, Any], type[InputError], str]] = {
    "key": (
        {"layer": [3]},
        InputError,
        f"grid: expected one of the keys {KEYS} (nearest: 'layers'), got 'layer'",
    ),
    "far key": ({"xyz": 1}, InputError, f"grid: expected one of the keys {KEYS}, got 'xyz'"),
    "no list": ({"seeds": 3}, RangeError, "seeds: expected a list, got 3"),
    "empty": ({"seeds": []}, RangeError, "seeds: expected a list of at least 1, got []"),
    "seed": (
        {"seeds": [0, -1]},
        RangeError,
        "seeds[1]: expected a number ≥ 0, got -1",
    ),
    "half": ({"edits": 2.5}, RangeError, "edits: expected an integer, got 2.5"),
    "layer": ({"layers": [6]}, RangeError, "layers: expected an integer ≥ 0 and ≤ 5, got 6"),
    "order": (
        {"orders": ["best"]},
        RangeError,
        "orders[0]: expected one of 'random', 'clustered', 'similarity', got 'best'",
    ),
    "eta": ({"eta": [0.0], "alpha": [0.5]}, RangeError, "eta[0]: expected a number > 0, got 0.0"),
    "alpha": ({"eta": [0.5], "alpha": [2.5]}, RangeError, "alpha[0]: expected a number ≤ 2, got 2.5"),
    "eta alone": ({"eta": [0.5]}, InputError, "alpha: expected a list of numbers beside eta, got none"),
    "alpha alone": ({"alpha": [0.5]}, InputError, "eta: expected a list of numbers beside alpha, got none"),
    "nothing": (
        {"plain": False},
        RangeError,
        "plain: expected true, or eta and alpha, got false, and no eta and alpha",
    ),
    "yes": ({"plain": "no"}, RangeError, "plain: expected true or false, got 'no'"),
    "entry": (
        {"editors": [3]},
        RangeError,
        'editors[0]: expected a name, or a table such as { name = "memit", ridge = 50.0 }, got 3',
    ),
    "entry without a name": (
        {"editors": [{"ridge": 3}]},
        InputError,
        "editors[0].name: expected a value in the grid, got none",
    ),
    "setting": (
        {"editors": [{"name": "memit", "ridge": -1.0}]},
        RangeError,
        "editors, memit: ridge: expected a number in (0, ∞), got -1.0",
    ),
    "compensate": (
        {"compensate": True, "eta": [0.5], "alpha": [0.8]},
        RangeError,
        "editors, memit: compensate: expected False, or an editor that solves with all past keys "
        "(memit-seq, encore, rlsedit), got True for memit",
    ),
    "control": (
        {"controls": ["top"], "eta": [0.5], "alpha": [0.8]},
        RangeError,
        "controls[0]: expected one of 'shrink', 'random', 'bottom', got 'top'",
    ),
    "controls alone": (
        {"controls": ["random"]},
        InputError,
        "controls: expected eta and alpha beside them, got none",
    ),
    "controls of another policy": (
        {"controls": ["random"], "eta": [0.5], "alpha": [0.8], "policy": "released"},
        RangeError,
        'editors, memit: control: expected policy="paper" and no compensation beside it, '
        "got policy='released', compensate=False",
    ),
    "tensors": ({"tensors": ["W"]}, InputError, "tensors: expected layers for minilm, got tensors"),
    "no tensors": (
        {"model": "m.safetensors"},
        RangeError,
        "tensors: expected the name of a matrix of m.safetensors, got nothing",
    ),
    "layers": (
        {"model": "synthetic", "layers": [3]},
        InputError,
        "layers: expected neither layers nor tensors for synthetic, got layers",
    ),
    "recorded": (
        {"model": "synthetic", "source": "recorded"},
        RangeError,
        "source: expected one of 'gaussian', 'orthonormal', 'clustered', got 'recorded'",
    ),
    "shape": ({"shape": [3]}, RangeError, "shape: expected a list of at least 2, got [3]"),
    "model": ({"model": 3}, RangeError, "model: expected a word in quotes, got 3"),
    "measures": ({"measures": 3}, RangeError, "measures: expected a table [measures], got 3"),
    "measure": (
        {"measures": {"evry": 3}},
        InputError,
        f"measures: expected one of the keys {MEASURES} (nearest: 'every'), got 'evry'",
    ),
    "every": ({"measures": {"every": 0}}, RangeError, "measures: every: expected an integer ≥ 1, got 0"),
    "early": ({"measures": {"early": 1}}, RangeError, "measures: early: expected true or false, got 1"),
    "audits": ({"measures": {"audits": 1}}, RangeError, "measures: audits: expected true or false, got 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_grid(name: str) -> None:
    change, error, message = BAD[name]
    check_refused(lambda: expand(SMALL | change), error, message)


@pytest.mark.parametrize("key", SMALL)
def test_what_has_to_be_there(key: str) -> None:
    rest = {name: value for name, value in SMALL.items() if name != key}
    check_refused(lambda: expand(rest), InputError, f"{key}: expected a value in the grid, got none")


def test_an_unknown_editor_is_named() -> None:
    with pytest.raises(
        RangeError, match=r"^editors, mend: name: expected one of rome, memit, .*, got 'mend'$"
    ):
        expand(SMALL | {"editors": ["mend"]})


@pytest.mark.parametrize("content", [b"model = ", b"\xff", None])
def test_what_is_no_file_of_a_grid(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"^grid: expected a readable TOML file, got .*grid\.toml"):
        read_grid(path)
