"""The committed notebooks: the same cells as their sources, executed to the end, small, and without noise."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

jupytext = pytest.importorskip("jupytext")
nbformat = pytest.importorskip("nbformat")

FOLDER = Path(__file__).parents[2] / "notebooks"
BOOKS = sorted(FOLDER.glob("*.ipynb"))
LIMIT = 5_000_000

# Folders of a machine, times of a clock, and colours of a terminal.
NOISE = re.compile(r"/(?:home|tmp|root|Users|work|var)/|site-packages|\d\d:\d\d:\d\d|\x1b\[")


def _read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def _outputs(path: Path) -> list[Any]:
    return [output for cell in _read(path).cells for output in cell.get("outputs", [])]


def _words(output: Any) -> str:
    """All of an output but its pictures."""
    data = {key: value for key, value in output.get("data", {}).items() if not key.startswith("image/")}
    return output.get("text", "") + json.dumps(data, ensure_ascii=False)


def test_every_source_has_its_notebook():
    sources = [path.stem for path in sorted(FOLDER.glob("[0-9]-*.py"))]
    assert [path.stem for path in BOOKS] == sources
    assert [name[0] for name in sources] == [str(k) for k in range(1, 8)]


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_cells_are_those_of_the_source(path):
    source = jupytext.read(path.with_suffix(".py"))
    written = [(cell.cell_type, cell.source) for cell in _read(path).cells]
    assert written == [(cell.cell_type, cell.source) for cell in source.cells], "run `make notebooks`"


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_it_was_executed_once_from_top_to_bottom(path):
    book = _read(path)
    nbformat.validate(book)
    counts = [cell.execution_count for cell in book.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert {output.output_type for output in _outputs(path)} <= {"stream", "display_data", "execute_result"}
    assert all(output.get("name") != "stderr" for output in _outputs(path))


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_it_holds_no_noise(path):
    book = _read(path)
    assert set(book.metadata) == {"jupytext", "kernelspec", "language_info"}
    assert book.metadata.language_info == {"name": "python"}
    assert all(not cell.metadata for cell in book.cells)
    found = [NOISE.findall(_words(output)) for output in _outputs(path)]
    assert not any(found), found


@pytest.mark.parametrize(
    "text", ["/home/x/runs", "site-packages/torch", "15:04:05", "\x1b[1mbold"], ids=ascii
)
def test_noise_is_recognised(text):
    assert NOISE.search(text)


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_pictures_are_small_and_described(path):
    for output in _outputs(path):
        for kind, value in output.get("data", {}).items():
            if kind.startswith("image/"):
                assert kind == "image/png"
                assert len(base64.b64decode(value)) < 200_000
                assert output.metadata["image/png"]["alt"]


def test_the_set_is_small():
    assert sum(path.stat().st_size for path in BOOKS) <= LIMIT


def test_every_notebook_is_named_in_the_readme():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\(([^)]+\.ipynb)\)", page) == [path.name for path in BOOKS]
