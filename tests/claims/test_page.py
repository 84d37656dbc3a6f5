"""The ledger in a page: a row a claim, in its place, and nothing else of the page is changed."""

from __future__ import annotations

import re

import pytest

from sphere_theory.claims import ledger
from sphere_theory.claims.page import END, START, markdown_table, with_table
from sphere_theory.errors import InputError


def test_a_page_without_markers_is_refused():
    with pytest.raises(InputError, match="page: expected the markers"):
        with_table("# A page")


def test_a_row_a_claim_with_as_many_cells_as_the_head() -> None:
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in markdown_table().splitlines()]
    assert {len(row) for row in rows} == {5}
    assert [row[0].strip() for row in rows[2:]] == [claim.id for claim in ledger()]
    for row, claim in zip(rows[2:], ledger(), strict=True):
        assert row[2].strip() == f"**{claim.verdict}**"
        assert row[4].strip().split(", ") == list(dict.fromkeys(piece.kind for piece in claim.evidence))


def test_the_rest_of_the_page_stays_as_it_is() -> None:
    page = f"# A page\n\n{START}\nan old table\n{END}\n\nIts end.\n"
    found = with_table(page)
    assert found.startswith("# A page\n\n" + START + "\n| | statement |")
    assert found.endswith(END + "\n\nIts end.\n")
    assert "an old table" not in found
    assert with_table(found) == found
