"""Predictors are columns that the table of runs has, each with a name of its own."""

from __future__ import annotations

from run_factory import made_run

from sphere_theory.streams.store import RunStore
from sphere_theory.study.predictors import PREDICTORS
from sphere_theory.study.run_table import load_points


def test_every_predictor_is_a_column_of_numbers(tmp_path):
    with RunStore(tmp_path) as store:
        made_run(store)
        points = load_points(store)
    assert set(PREDICTORS) <= set(points.columns)
    assert all(points[name].dtype.kind == "f" for name in PREDICTORS)
    assert points[list(PREDICTORS)].notna().all(axis=None)


def test_the_energys_own_come_first_and_names_are_told_apart():
    assert list(PREDICTORS)[:2] == ["energy_level", "energy_step"]
    assert len(set(PREDICTORS.values())) == len(PREDICTORS)
