"""The attack on what is proved: extreme as it says, never successful, and successful on wrong bounds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import naive
import numpy as np
import pandas as pd
import pytest

from sphere_theory import enclosure
from sphere_theory.errors import RangeError
from sphere_theory.experiments import extremes
from sphere_theory.experiments.extremes import (
    CLAIMS,
    EDITS,
    OUTCOMES,
    STRUCTURES,
    attack,
    attack_bounds,
    draw_case,
)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return attack_bounds(700, seed=1)


def test_nothing_that_is_proved_is_violated(table: pd.DataFrame) -> None:
    assert table["violated"].sum() == 0
    assert set(table["claim"]) == set(CLAIMS)
    assert (table.groupby("claim")[list(OUTCOMES)].sum().sum(axis=1) == 700).all()
    decided = table.groupby("claim")["holds"].sum()
    assert decided[["outputs", "angles", "enclosure"]].min() > 0.9 * 700
    assert decided["size"] > 200


def test_the_bounds_are_nearly_reached(table: pd.DataFrame) -> None:
    """An attack that comes nowhere near them would prove little."""
    assert table.groupby("claim")["reached_max"].max().min() > 0.99


def test_cases_are_as_extreme_as_they_say() -> None:
    cases = [draw_case(0, number) for number in range(700)]
    assert {case.structure for case in cases} == set(STRUCTURES)
    assert {case.edit for case in cases} == set(EDITS)
    lengths = [np.linalg.norm(case.W, axis=1) for case in cases]
    assert max(own.max() / own.min() for own in lengths) > 1e6
    moves = [np.linalg.norm(case.delta, axis=1) for case in cases]
    assert max((move / own).max() for move, own in zip(moves, lengths, strict=True)) > 10
    assert {0.0, 1.0, 6.0} < {case.s for case in cases}
    distances = [naive.others(naive.distances(case.W)) for case in cases]
    assert min(D.min() for D in distances) < 1e-5
    assert max(D.max() for D in distances) > 2 - 1e-10
    conditions = [np.linalg.cond(case.inputs) for case in cases if case.inputs is not None]
    assert max(conditions) > 1e10
    assert sum(case.inputs is None for case in cases) > 100


def test_a_case_is_the_same_at_every_call() -> None:
    one, other = draw_case(3, 17), draw_case(3, 17)
    assert np.array_equal(one.W, other.W)
    assert np.array_equal(one.delta, other.delta)
    assert not np.array_equal(one.W, draw_case(4, 17).W)


def test_an_edit_onto_another_neuron_is_not_applicable() -> None:
    W = np.eye(3)
    onto = extremes.Case("ordinary", "random", W, np.array([[-1.0, 1, 0], [0, 0, 0], [0, 0, 0]]), None, 1.0)
    assert {outcome.verdict for outcome in attack(onto).values()} == {"not applicable"}


WRONG: dict[str, tuple[Any, str, Any]] = {
    "pulls 10% short": (extremes, "end_bounds", lambda honest: lambda *a: tuple(0.9 * x for x in honest(*a))),
    "remainder 10% short": (
        enclosure,
        "second_slope",
        lambda honest: lambda *a: 0.9 * honest(*a),
    ),
    "gap by the larger turn": (
        enclosure,
        "less",
        lambda honest: lambda squared, opposite, half: honest(squared, opposite, half / 2),
    ),
    "size 10% short": (extremes, "largest_change", lambda honest: lambda *a, **k: 0.9 * honest(*a, **k)),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_bound_does_not_survive(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    module, attribute, wrong = WRONG[name]
    honest = getattr(module, attribute)
    if module is enclosure:  # or the pulls at the ends would hide what B9 says
        monkeypatch.setattr(enclosure, "end_bounds", lambda *_: (math.inf, math.inf))
    monkeypatch.setattr(module, attribute, wrong(honest))
    assert attack_bounds(400, seed=2)["violated"].sum() > 0


class _Stopped(Exception):
    pass


def test_an_interrupted_attack_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extremes, "_BLOCK", 20)
    path, seen = tmp_path / "attack.jsonl", []

    def stop(share: float) -> None:
        seen.append(share)
        if len(seen) == 2:
            raise _Stopped

    with pytest.raises(_Stopped):
        attack_bounds(60, seed=5, store=path, progress=stop)
    attacked: list[int] = []
    honest = extremes.draw_case
    monkeypatch.setattr(extremes, "draw_case", lambda seed, n: attacked.append(n) or honest(seed, n))
    found = attack_bounds(60, seed=5, store=path)
    assert attacked == list(range(40, 60))
    pd.testing.assert_frame_equal(found, attack_bounds(60, seed=5))


def test_refusals() -> None:
    for arguments in ({"cases": 0}, {"seed": -1}):
        with pytest.raises(RangeError):
            attack_bounds(**arguments)
