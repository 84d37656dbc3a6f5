"""The README is true: its example runs, its table is the ledger's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sphere_theory.claims.page import with_table
from sphere_theory.errors import InputError

README = Path(__file__).parents[1] / "README.md"


def test_the_ledger_table_has_not_drifted():
    page = README.read_text(encoding="utf-8")
    assert with_table(page) == page, "run `make readme`"


def test_a_page_without_markers_is_refused():
    with pytest.raises(InputError, match="page: expected the markers"):
        with_table("# A page")


def test_the_python_example_runs_and_prints_what_it_says(capsys):
    pytest.importorskip("safetensors")
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert printed.startswith("0.99937")
    assert "Theorem 1 on one edit" in printed


def test_every_picture_and_page_it_links_exists():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).exists(), target
