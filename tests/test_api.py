"""The public face: its exact names and signatures, what importing it costs, and that its examples run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import sphere_theory

ALL = [
    "AlphaEdit",
    "BoundAudit",
    "BoundCheck",
    "Checkpoint",
    "CheckpointLayer",
    "Control",
    "EditBatch",
    "EditStream",
    "Editor",
    "Edits",
    "Emmet",
    "Encore",
    "EnergyChange",
    "Estimate",
    "EvoEdit",
    "FineTune",
    "GramTracker",
    "Host",
    "InputError",
    "Interval",
    "LayerMemory",
    "LayerRow",
    "LowRankUpdate",
    "Measures",
    "Memit",
    "MemitSequential",
    "MiniLM",
    "Mose",
    "MoseRight",
    "Nas",
    "NormMatchedShrinkage",
    "PrincipalSpace",
    "Prune",
    "Rect",
    "Revive",
    "RlsEdit",
    "Rome",
    "RunStore",
    "Separation",
    "SparseProjector",
    "Sphere",
    "SphereTheoryError",
    "Step",
    "StreamSpec",
    "Subspace",
    "SyntheticLayer",
    "__version__",
    "audit_bound",
    "bottom_space",
    "bound_constant",
    "describe_layers",
    "enclose_change",
    "energy",
    "energy_change",
    "energy_estimate",
    "energy_gradient",
    "largest_change",
    "load_layer",
    "make_host",
    "make_stream",
    "min_separation",
    "open_checkpoint",
    "principal_space",
    "probe_bound",
    "random_space",
    "run_stream",
    "second_moment",
    "simplex_energy",
    "uniform_energy",
]

# Names, order, kinds and defaults; arguments that came later stand behind these.
SIGNATURES = {
    "energy": "W, *, s=1.0, reduction='sum'",
    "energy_gradient": "W, *, s=1.0",
    "energy_change": "W, delta, *, s=1.0",
    "energy_estimate": "W, *, s=1.0, samples, seed",
    "uniform_energy": "n, d, *, s=1.0",
    "simplex_energy": "n, *, s=1.0",
    "min_separation": "W",
    "GramTracker": "W",
    "GramTracker.update": "self, left, right",
    "GramTracker.energy": "self, s=1.0",
    "GramTracker.row_norms": "self",
    "GramTracker.refresh": "self",
    "principal_space": "W, *, eta=0.5, rows='raw', rank_rule='paper', method='auto'",
    "SparseProjector": "space, alpha",
    "SparseProjector.__call__": "self, delta",
    "SparseProjector.dense": "self",
    "bound_constant": "W, delta=None, *, kind='unconditional', s=1.0",
    "audit_bound": "W, delta, inputs=None, *, s=1.0",
    "enclose_change": "W, delta, *, pieces=1, width=None, seconds=10.0, s=1.0",
    "largest_change": "W, size, *, s=1.0",
    "EditBatch": "keys, values",
    "LayerMemory": "weight, second_moment=None",
    "Editor.solve": "self, memory, batch",
    "Editor.update": "self, memory, batch",
    "Editor.apply": "self, memory, batch",
    "Rome": "damping=0.0",
    "Memit": "ridge=15000.0, damping=0.0",
    "MemitSequential": "ridge=15000.0, damping=0.0",
    "Emmet": "damping=0.0",
    "AlphaEdit": "l2=10.0, threshold=0.02",
    "FineTune": "steps=25, learning_rate=0.0005, clamp=None, weight_decay=0.0",
    "Encore": "ridge=15000.0, damping=20.0",
    "load_layer": "model, tensor_name",
    "second_moment": "keys",
    "run_stream": "memory, editor, stream, measures, store, *, batch=100, resume=True",
    "RunStore": "path",
    "RunStore.frame": "self, run",
}

HEAVY = [
    "transformers",
    "matplotlib",
    "seaborn",
    "pandas",
    "hypothesis",
    "sympy",
    "mpmath",
    "scipy",
    "typer",
    "rich",
    "huggingface_hub",
    "dask",
    "distributed",
]


def modules() -> list[str]:
    found = pkgutil.walk_packages(sphere_theory.__path__, "sphere_theory.", onerror=lambda name: None)
    return ["sphere_theory", *(info.name for info in found if not info.name.endswith("__main__"))]


def fresh_python(code: str) -> str:
    """What a new interpreter prints, warnings being errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_is_exact() -> None:
    assert sphere_theory.__all__ == ALL


def test_nothing_public_is_left_out_of_all() -> None:
    here = {
        name
        for name, value in vars(sphere_theory).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert here == set(ALL) - {"__version__"}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_the_contract(name: str) -> None:
    value = sphere_theory
    for part in name.split("."):
        value = getattr(value, part)
    bare = [
        p.replace(annotation=inspect.Parameter.empty) for p in inspect.signature(value).parameters.values()
    ]
    shown = str(inspect.Signature(bare)).strip("()")
    assert f"{shown}, ".startswith(f"{SIGNATURES[name]}, "), f"expected ({SIGNATURES[name]}), got ({shown})"
    wanted = SIGNATURES[name].replace("*, ", "").count(",") + 1
    assert all(p.default is not inspect.Parameter.empty for p in bare[wanted:])


@pytest.mark.parametrize("name", [name for name in ALL if name != "__version__"])
def test_every_public_name_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(sphere_theory, name))


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert sphere_theory.__version__ == version("sphere-theory")


def test_importing_is_light() -> None:
    """Nothing heavy beyond what torch itself brings."""
    loaded = f"print(sorted(m for m in {HEAVY} if m in sys.modules))"
    torch_alone = fresh_python(f"import sys, torch; {loaded}")
    assert fresh_python(f"import sys, sphere_theory; {loaded}") == torch_alone


def test_importing_says_and_changes_nothing() -> None:
    state = "(torch.get_default_dtype(), torch.get_num_threads(), torch.get_float32_matmul_precision())"
    same = f"import torch; before = {state}; import sphere_theory; print(before == {state})"
    assert fresh_python(same) == "True\n"


def examples(module: ModuleType) -> list[doctest.DocTest]:
    """Wrappers hide functions from doctest's own finder, so docstrings are read one by one."""
    owned = [
        value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__
    ]
    parts = [part for value in owned if inspect.isclass(value) for part in vars(value).values()]
    docs = {getattr(value, "__doc__", None) or "" for value in (module, *owned, *parts)}
    parser = doctest.DocTestParser()
    return [
        parser.get_doctest(doc, dict(vars(module)), module.__name__, None, 0)
        for doc in sorted(docs)
        if ">>>" in doc
    ]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_run(name: str) -> None:
    module = importlib.import_module(name)
    for example in examples(module):
        said: list[str] = []
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)
        assert not said, "".join(said)


def test_there_are_examples() -> None:
    assert examples(sphere_theory)
    assert examples(importlib.import_module("sphere_theory.energy"))
