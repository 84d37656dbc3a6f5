"""Phrases of the findings: whom they are about, and numbers with their intervals."""

from __future__ import annotations

import math

import pandas as pd
from point_factory import HOST, runs

from sphere_theory.hosts.base import METRICS
from sphere_theory.study.wording import about, counts, gains_table, headed, spanned


def test_a_paragraph_says_whom_it_is_about():
    points = runs(planned=2000, points=8)
    assert counts(points) == (points["run"].nunique(), points["seed"].nunique(), 2000)
    assert headed(HOST, points) == f"**{HOST}** (3 runs, 3 seeds, to 2,000 edits)"
    assert about("x", 1, 2, 30) == "**x** (1 runs, 2 seeds, to 30 edits)"


def test_a_number_stands_with_its_interval():
    row = {"rho": -0.812, "low": -0.9, "high": -0.7}
    assert spanned(row, "rho") == "−0.81 [−0.90, −0.70]"
    assert spanned(pd.Series(row), "rho", ".1f") == "−0.8 [−0.9, −0.7]"
    assert spanned(row | {"low": math.nan}, "rho") == "−0.81"


def test_gains_have_a_row_an_editor_and_a_column_a_metric():
    rows = [
        {
            "base": base,
            "settings": settings,
            "metric": metric,
            "gain": gain + k / 10,
            "low": -1.0,
            "high": 1.0,
        }
        for base, settings, gain in (
            ("memit", "{}", 0.5),
            ("memit", '{"ridge": 2}', -0.5),
            ("rome", "{}", 0.0),
        )
        for k, metric in enumerate(METRICS)
    ]
    head, _, *lines = gains_table(pd.DataFrame(rows)).splitlines()
    assert head == f"| editor | {' | '.join(METRICS)} |"
    assert [line.split(" | ")[0] for line in lines] == ["| memit", "| memit", "| rome"]
    assert lines[1] == (
        "| memit | −0.500 [−1.000, +1.000] | −0.400 [−1.000, +1.000] | −0.300 [−1.000, +1.000] |"
    )


def test_without_settings_editors_are_told_apart_by_name_alone():
    rows = [
        {"base": base, "metric": metric, "gain": 0.1, "low": 0.0, "high": 0.2}
        for base in ("rome", "memit")
        for metric in METRICS
    ]
    assert len(gains_table(pd.DataFrame(rows)).splitlines()) == 4
