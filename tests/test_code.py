"""What a stored number's name depends on: the code that computes it, and no caption, comment or docstring."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sphere_theory
from sphere_theory import code
from sphere_theory.code import code_hash, source_hash
from sphere_theory.editing.memit import Memit

PACKAGE = Path(sphere_theory.__file__).parent

# Computed in a copy of the package: the code of a MEMIT run, of an AlphaEdit run, of the interventions.
ASKED = """
from sphere_theory.code import code_hash
from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.memit import Memit
from sphere_theory.experiments.interventions import Intervention
runner = "sphere_theory.streams.runner"
print(code_hash(runner, Memit), code_hash(runner, AlphaEdit), code_hash(Intervention))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def codes(folder: Path) -> tuple[str, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", ASKED], cwd=folder, capture_output=True, text=True, check=True, timeout=120
    )
    memit, alphaedit, interventions = done.stdout.split()
    return memit, alphaedit, interventions


def changed(folder: Path, module: str, old: str, new: str) -> tuple[str, str, str]:
    """The codes with one change of one module, which is undone."""
    path = folder / PACKAGE.name / module
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{module} no longer holds {old!r}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    try:
        return codes(folder)
    finally:
        path.write_text(text, encoding="utf-8")


def test_a_change_counts_for_what_it_computes(copy: Path) -> None:
    before = codes(copy)
    assert len(set(before)) == 3
    # A caption, a docstring, a comment, and what only keeps or chooses.
    for module, old, new in (
        ("study/questions/protection.py", "paired by seed", "paired by their seeds"),
        ("energy.py", '"""', '"""Another first line. '),
        ("editing/memit.py", "from __future__", "# A comment.\n\nfrom __future__"),
        ("streams/database.py", "_PATIENCE = 30.0", "_PATIENCE = 31.0"),
        ("cli/streams.py", "Number of edits.", "How many edits."),
    ):
        assert changed(copy, module, old, new) == before, (
            f"a change of {module} renamed what it does not compute"
        )
    memit, alphaedit, _ = changed(copy, "editing/alphaedit.py", "threshold", "threshold_")
    assert memit == before[0]
    assert alphaedit != before[1]
    assert all(
        new != old
        for new, old in zip(changed(copy, "gram.py", "def ", "_ADDED = 1\n\n\ndef "), before, strict=True)
    )


def test_a_class_stands_for_its_module() -> None:
    assert code_hash(Memit) == code_hash(Memit.__module__) != code_hash("sphere_theory.editing.rome")
    assert len(code_hash(Memit)) == 16


def test_a_module_of_ones_own_counts_for_itself() -> None:
    own = code_hash(test_a_module_of_ones_own_counts_for_itself.__module__)
    assert own != code_hash("conftest") != code_hash("no_such_module")


def test_nothing_that_computes_is_left_out() -> None:
    """Modules that count for nothing import none of the mathematics."""
    from sphere_theory import code

    mathematics = {"energy", "neurons", "gram", "bound", "projection", "spectrum", "motion"}
    for name in code._NOTHING_COMPUTED:
        path = code._path(name)
        assert path is not None, f"{name} is no module"
        imported = {
            node.module.rsplit(".", 1)[-1]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and node.module
        }
        assert not imported & mathematics, f"{name} computes"


def test_the_hash_of_the_source_is_of_every_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert source_hash() == source_hash("*.py") != source_hash("*.py", "*.v")
    monkeypatch.setattr(code, "__file__", str(tmp_path / "code.py"))
    (tmp_path / "code.py").write_text("x = 1\n")
    first = source_hash()
    (tmp_path / "code.py").write_text("x = 1  # one\n")
    assert len(first) == 16
    assert source_hash() != first
