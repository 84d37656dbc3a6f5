"""A printed proof is as wide as the terminal, and no wider than an eye follows."""

from __future__ import annotations

import pytest

from sphere_theory.proofs import PROOFS
from sphere_theory.proofs.__main__ import main
from sphere_theory.proofs.kernel.__main__ import symbol_table
from sphere_theory.proofs.page import WIDEST, wrapped


@pytest.mark.parametrize(("columns", "widest"), [(80, 80), (120, WIDEST)])
def test_no_line_is_wider_than_the_page(columns: int, widest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    pages: list[str] = []
    main([next(iter(PROOFS))], write=pages.append)
    lines = "".join((*pages, symbol_table())).splitlines()
    assert widest - 20 < max(map(len, lines)) <= widest


def test_each_line_is_a_paragraph_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    assert wrapped("one two three\nfour", 1) == " one two\n   three\n four"
    assert wrapped("one two three", 2, 0) == "  one two\nthree"
