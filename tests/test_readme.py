"""The README is true: its example runs, its table is the ledger's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sphere_theory.claims.page import with_table

README = Path(__file__).parents[1] / "README.md"


def test_the_ledger_table_has_not_drifted():
    page = README.read_text(encoding="utf-8")
    assert with_table(page) == page, "run `make readme`"


def test_the_python_examples_run_and_print_what_they_say(capsys):
    pytest.importorskip("safetensors")
    first, second = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    names: dict = {}  # the second goes on from the first
    for example in (first, second):
        assert len([line for line in example.splitlines() if line.strip()]) <= 10
        exec(compile(example, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert printed.startswith("0.99937")
    assert "Theorem 1 on one edit" in printed
    assert printed.endswith("100 torch.Size([384, 1536])\n")


def test_every_picture_and_page_it_links_exists():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).exists(), target
