"""Numbers, intervals, tables and words, as the findings write them."""

from __future__ import annotations

import math

import pytest

from sphere_theory.study.markdown import judged, number, span, table


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.126, ".2f", "0.13"),
        (-0.126, "+.2f", "−0.13"),
        (0.126, "+.2f", "+0.13"),
        (1234.4, ",.0f", "1,234"),
        (2.5e-7, ".1e", "2.5e−07"),
        (-0.0004, ".2f", "0.00"),
        (-0.0004, "+.2f", "0.00"),
        (math.nan, ".2f", "–"),
        (math.inf, ".2f", "∞"),
        (-math.inf, ".2f", "−∞"),
    ],
)
def test_a_number(value, form, text):
    assert number(value, form) == text


def test_an_interval_stands_beside_its_number():
    assert span((0.5, 0.25, math.inf), ".1f") == "0.5 [0.2, ∞]"
    assert span(iter((-1.0, -2.0, 0.5)), "+.0f") == "−1 [−2, 0]"


@pytest.mark.parametrize("ends", [(math.nan, 1.0), (0.0, math.nan), (math.nan, math.nan)])
def test_without_both_ends_there_is_no_interval(ends):
    assert span((0.5, *ends)) == "0.50"


def test_a_table_keeps_bars_inside_its_cells():
    assert table(("|ΔHE|", "n"), [("a", "1"), ("b|c", "2")]).split("\n") == [
        r"| \|ΔHE\| | n |",
        "|---|---|",
        "| a | 1 |",
        r"| b\|c | 2 |",
    ]


def test_a_table_without_rows_is_none():
    assert table(("a", "b"), iter(())) == ""


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.1, 0.2, "above"),
        (-0.2, -0.1, "below"),
        (-0.1, 0.1, "neither"),
        (0.0, 0.1, "neither"),
        (-0.1, 0.0, "neither"),
        (math.nan, math.nan, "–"),
    ],
)
def test_words_are_chosen_by_where_an_interval_lies(low, high, word):
    assert judged(low, high, "above", "below", "neither") == word
