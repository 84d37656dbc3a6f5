"""The sweep over Theorem 1: what is drawn is what it says, who breaks which bound, and that it can go on."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jaxtyping
import naive
import numpy as np
import pandas as pd
import pytest
import torch

from sphere_theory.bound import KINDS, audit_bound
from sphere_theory.code import code_hash
from sphere_theory.errors import (
    CoincidentNeuronsError,
    InputError,
    RangeError,
    ShapeError,
    ZeroRowError,
)
from sphere_theory.experiments import probe
from sphere_theory.experiments.probe import Probe, probe_bound, summary
from sphere_theory.experiments.trials import DIRECTIONS, Cell, as_layer, draw

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
SHAPES = ((2, 2), (4, 3), (6, 5))
SIZES = (1e-8, 1e-3, 1e-1, 10.0)
CONDITIONS = (1e8,)
SMALL: dict[str, Any] = {"shapes": [(4, 3)], "sizes": [1e-3, 1.0], "conditions": [1e4], "trials": 2}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """3,024 trials, or 10⁵ in the deep profile: every test below reads them."""
    trials = 298 if DEEP else 9
    with pytest.MonkeyPatch.context() as patch:  # checking types takes longer than the audits
        patch.setattr(jaxtyping.config, "jaxtyping_disable", True)
        found = probe_bound(shapes=SHAPES, sizes=SIZES, conditions=CONDITIONS, trials=trials)
    assert found["trials"].sum() // 3 >= (100_000 if DEEP else 3_000)
    return found


def rows(table: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    for name, value in wanted.items():
        table = table[table[name] == value]
    assert len(table)
    return table


# --- who breaks what ----------------------------------------------------------------------------


@pytest.mark.parametrize("s", [0.0, 0.5, 3.0])
def test_other_exponents_break_and_hold_alike(s: float) -> None:
    found = probe_bound(
        shapes=SHAPES, sizes=[1e-4], inputs=["orthonormal"], directions=["adversarial"], trials=2, s=s
    )
    assert (rows(found, constant="gradient")["violation_rate"] == 1).all()
    assert rows(found, constant="certified")["violations"].sum() == 0
    assert (rows(found, constant="certified")["applicable"] == 2).all()


def test_the_adversary_hides_from_partial_inputs(table: pd.DataFrame) -> None:
    hidden = rows(table, inputs="partial", direction="adversarial")
    first = rows(hidden, constant="gradient")
    assert (first["violation_rate"] == 1).all()
    assert (first["tightness_median"] > 1e6).all()
    assert (hidden["uncovered"] == 1).all()
    assert (rows(hidden, constant="certified")["violations"] == 0).all()


@pytest.mark.parametrize("kind", ["unconditional", "certified"])
def test_a_proved_bound_is_never_violated(table: pd.DataFrame, kind: str) -> None:
    found = rows(table, constant=kind)
    assert found["violations"].sum() == 0
    assert found["worst_margin"].min() >= -1e-11
    assert found["tightness_max"].max() > 0.99  # and is sharp for two neurons
    assert rows(found, inputs="conditioned")["tightness_max"].max() > 0.1
    applicable = found["applicable"].sum() / found["trials"].sum()
    assert applicable == 1 if kind == "unconditional" else 0.5 < applicable < 1


def test_what_is_not_orthonormal_is_not_held_to_the_first_order(table: pd.DataFrame) -> None:
    for inputs in ("conditioned", "deficient"):
        found = rows(table, inputs=inputs)
        assert (found["not_orthonormal"] == 1).all()
        first = found[found["constant"].isin(["gradient", "triangle"])]
        assert first["applicable"].sum() == first["violations"].sum() == 0
        assert first[["violation_rate", "worst_margin", "tightness_median"]].isna().all(axis=None)
        assert (first["worst_trial"] == -1).all()
    assert (rows(table, inputs="partial")["not_orthonormal"] == 0).all()


def test_assumptions_fail_where_they_should(table: pd.DataFrame) -> None:
    tiny, huge = rows(table, size=1e-8), rows(table, size=10.0)
    assert tiny[["not_small", "uncertified"]].max(axis=None) == 0
    turning = huge[huge["direction"] != "radial"]
    assert turning[["not_small", "uncertified"]].mean().min() > 0.9
    assert (rows(table, direction="radial")["not_small"] == 0).all()  # ΔHE = 0: nothing is dropped
    assert (rows(table, inputs="orthonormal")["uncovered"] == 0).all()
    assert (rows(table, inputs="conditioned")["uncovered"] == 0).all()


def test_constants_are_ordered(table: pd.DataFrame) -> None:
    """K_grad ≤ K_tri ≤ K_cert and K* ≤ K_cert, so violations fall and margins grow."""
    full = rows(table, inputs="orthonormal", size=1e-3)
    proved, gradient, triangle, certified = (
        rows(full, constant=kind)["tightness_max"].to_numpy() for kind in KINDS
    )
    covered = ~np.isnan(certified)
    assert (triangle <= gradient * (1 + 1e-9)).all()
    assert (certified <= triangle * (1 + 1e-9))[covered].all()
    assert (certified <= proved * (1 + 1e-9))[covered].all()


# --- the table ----------------------------------------------------------------------------------


def test_a_row_is_what_its_trials_come_to(table: pd.DataFrame) -> None:
    cell = Cell(6, 5, 1e-1, "orthonormal", 1.0, "adversarial")
    (row,) = rows(table, **vars(cell), constant="gradient").to_dict("records")
    cases = [draw(cell, trial) for trial in range(row["trials"])]
    audits = [audit_bound(case.W, case.delta, case.inputs.X) for case in cases]
    tightness = [audit.check("gradient").tightness for audit in audits]
    assert row["applicable"] == len(audits)
    assert row["violations"] == sum(audit.check("gradient").verdict == "violated" for audit in audits)
    assert row["violation_rate"] == row["violations"] / row["applicable"]
    assert (row["tightness_max"], row["worst_margin"]) == (max(tightness), 1 - max(tightness))
    assert row["worst_trial"] == np.argmax(tightness)
    assert row["tightness_median"] == np.median(tightness)
    assert row["not_small"] == np.mean([audit.first_order_error > 0.1 for audit in audits])
    missing = [audit.check("certified").verdict == "not applicable" for audit in audits]
    assert row["uncertified"] == np.mean(missing)


def test_the_table_is_tidy(table: pd.DataFrame) -> None:
    axes = ["n", "d", "size", "inputs", "condition", "direction", "constant"]
    assert list(table.columns[:7]) == axes
    assert not table.duplicated(axes).any()
    assert len(table) == len(KINDS) * len(SHAPES) * len(SIZES) * 4 * len(DIRECTIONS)
    kinds = {name: table[name].dtype.kind for name in table.columns}
    words = {"inputs", "direction", "constant"}
    counts = {"n", "d", "trials", "applicable", "violations", "undecided", "worst_trial"}
    assert {name for name, kind in kinds.items() if kind == "i"} == counts
    assert {name for name, kind in kinds.items() if kind == "f"} == set(kinds) - counts - words


def test_the_summary_is_over_everything_else(table: pd.DataFrame) -> None:
    rates = summary(table, "gradient")
    assert list(rates.index) == list(DIRECTIONS)
    assert list(rates.columns) == sorted(SIZES)
    ascent = rows(table, constant="gradient", direction="ascent", size=1e-3)
    assert rates.loc["ascent", 1e-3] == ascent["violations"].sum() / ascent["applicable"].sum()
    assert (rates.loc["adversarial", [1e-8, 1e-3]] == 1).all()
    assert (rates.loc["radial"] == 0).all()
    assert summary(table, "certified").max(axis=None) == 0
    unseen = summary(rows(table, inputs="deficient"), "triangle")
    assert unseen.isna().all(axis=None)
    naive.check_refused(
        lambda: summary(table, "exact"),
        RangeError,
        "constant: expected one of 'unconditional', 'gradient', 'triangle', 'certified', got 'exact'",
    )


# --- the same again -----------------------------------------------------------------------------


@pytest.mark.usefixtures("unchecked")
def test_the_same_seed_gives_the_same_table() -> None:
    first = probe_bound(**SMALL)
    pd.testing.assert_frame_equal(first, probe_bound(**SMALL), check_exact=True)
    assert not first.equals(probe_bound(**SMALL, seed=1))


@pytest.mark.usefixtures("unchecked")
def test_a_cell_does_not_depend_on_the_others() -> None:
    wide = probe_bound(**SMALL)
    narrow = probe_bound(
        **SMALL | {"sizes": [1.0], "shapes": [(3, 2), (4, 3)]}, inputs=["partial"], directions=["adversarial"]
    )
    same = rows(wide, size=1.0, inputs="partial", direction="adversarial").reset_index(drop=True)
    again = rows(narrow, n=4).reset_index(drop=True)
    pd.testing.assert_frame_equal(same, again, check_exact=True)


class Interrupted:
    """Ctrl-C after some cells."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, share: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def measured(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """Cells that are measured from now on."""
    cells: list[Cell] = []
    measure = probe._measure

    def noted(cell: Cell, *rest: Any) -> Any:
        cells.append(cell)
        return measure(cell, *rest)

    monkeypatch.setattr(probe, "_measure", noted)
    return cells


@pytest.mark.usefixtures("unchecked")
def test_an_interrupted_sweep_goes_on_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "probe.jsonl"
    whole = probe_bound(**SMALL)
    total = len(whole) // len(KINDS)
    with pytest.raises(KeyboardInterrupt):
        probe_bound(**SMALL, store=path, progress=Interrupted(20))
    path.write_bytes(path.read_bytes()[:-9])  # the last line is cut short as well
    cells, seen = measured(monkeypatch), []
    resumed = probe_bound(**SMALL, store=str(path), progress=seen.append)
    pd.testing.assert_frame_equal(resumed, whole, check_exact=True)
    assert len(cells) == total - 19
    assert seen == [(k + 1) / total for k in range(total)]
    cells.clear()
    pd.testing.assert_frame_equal(probe_bound(**SMALL, store=path), whole, check_exact=True)
    assert cells == []
    assert len(path.read_text().splitlines()) == total + 1


def test_a_wider_sweep_takes_what_is_there_and_another_seed_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "probe.jsonl"
    narrow = SMALL | {"directions": ["radial"], "inputs": ["deficient"], "store": path}
    probe_bound(**narrow)
    cells = measured(monkeypatch)
    probe_bound(**narrow | {"directions": ["tangent", "radial"]})
    assert {cell.direction for cell in cells} == {"tangent"}
    cells.clear()
    probe_bound(**narrow, seed=1)
    assert len(cells) == 2


def test_the_store_is_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "probe.jsonl"
    probe_bound(**SMALL | {"trials": 1}, store=path)

    def refuse(name: str) -> None:
        pytest.fail(f"{name} is not JSON")

    header, *records = (json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines())
    assert (header["trials"], header["seed"], header["s"], header["layer"]) == (1, 0, 1.0, None)
    assert header["code"] == code_hash(probe_bound.__module__)
    assert len(records) == 2 * 4 * len(DIRECTIONS)


# --- a real layer -------------------------------------------------------------------------------


def a_layer(m: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    keys = np.maximum(rng.normal(size=(6, m)), 0) * np.arange(1, 7)[:, None]
    return rng.normal(size=(5, 6)).astype(np.float32), keys


def test_a_layer_is_probed_on_its_activations() -> None:
    W, keys = a_layer()
    found = probe_bound(shapes=[], sizes=[1e-3], W=W, keys=torch.from_numpy(keys), trials=3)
    assert set(found["inputs"]) == {"activations"}
    naive.check_close(found["condition"].unique(), [np.linalg.cond(keys)], 1e-9)
    assert (found["not_orthonormal"] == 1).all()
    assert (found["uncovered"] == 0).all()
    certified = rows(found, constant="certified").set_index("direction")
    assert (certified["violations"] == 0).all()
    assert (certified["violation_rate"] == 0).all()
    assert certified["trials"].to_dict() == {
        name: 1 if name in ("ascent", "descent") else 3 for name in DIRECTIONS
    }
    assert certified["tightness_median"].idxmax() == "adversarial"
    case = draw(Cell(5, 6, 1e-3, "activations", 1.0, "random"), 0, layer=as_layer(W, keys))
    assert torch.equal(case.W, torch.from_numpy(W).double())
    assert torch.equal(case.inputs.X, torch.from_numpy(keys))


def test_the_adversary_hides_from_keys_that_do_not_span() -> None:
    W, keys = a_layer(4)
    chosen = ["random", "adversarial"]
    found = probe_bound(shapes=[], sizes=[1e-3], W=W, keys=keys, directions=chosen, trials=2)
    assert (found["condition"] == math.inf).all()
    assert (found["uncovered"] == 1).all()
    assert rows(found, constant="certified")["violations"].sum() == 0
    case = draw(Cell(5, 6, 1e-3, "activations", 1.0, "adversarial"), 0, layer=as_layer(W, keys))
    assert np.linalg.norm(case.delta.numpy() @ keys) < 1e-12


@pytest.mark.usefixtures("unchecked")
def test_a_layer_joins_the_sweep() -> None:
    W, keys = a_layer()
    plain = probe_bound(**SMALL)
    joined = probe_bound(**SMALL, W=W, keys=keys)
    pd.testing.assert_frame_equal(joined[: len(plain)], plain, check_exact=True)
    assert (joined["inputs"][len(plain) :] == "activations").all()


# --- bad arguments ------------------------------------------------------------------------------

LAYER = dict(zip(("W", "keys"), a_layer(), strict=True))
BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"shapes": 3}, RangeError, "shapes: expected a list of values, got 3"),
    ({"shapes": []}, RangeError, "shapes: expected at least one pair (n, d), or W and keys, got none"),
    ({"shapes": [4]}, ShapeError, "shapes: expected pairs (n, d), got 4"),
    ({"shapes": [(1, 3)]}, RangeError, "shapes: expected an integer ≥ 2, got 1"),
    ({"shapes": [(3, 1)]}, RangeError, "shapes: expected an integer ≥ 2, got 1"),
    ({"sizes": []}, RangeError, "sizes: expected at least one value, got []"),
    ({"sizes": [0.0]}, RangeError, "sizes: expected a number in (0, ∞), got 0.0"),
    ({"sizes": [math.nan]}, RangeError, "sizes: expected a number in (0, ∞), got nan"),
    ({"inputs": "partial"}, RangeError, "inputs: expected a list of values, got 'partial'"),
    (
        {"inputs": ["keys"]},
        RangeError,
        "inputs: expected one of 'orthonormal', 'partial', 'conditioned', 'deficient', got 'keys'",
    ),
    ({"conditions": [0.5]}, RangeError, "conditions: expected a number in [1, 1e+11], got 0.5"),
    ({"conditions": [1e12]}, RangeError, "conditions: expected a number in [1, 1e+11], got 1000000000000.0"),
    (
        {"directions": ["up"]},
        RangeError,
        "directions: expected one of 'random', 'tangent', 'radial', 'ascent', 'descent', 'low-rank', "
        "'adversarial', got 'up'",
    ),
    ({"directions": ()}, RangeError, "directions: expected at least one value, got ()"),
    ({"trials": 0}, RangeError, "trials: expected an integer ≥ 1, got 0"),
    ({"trials": 1.5}, RangeError, "trials: expected an integer ≥ 1, got 1.5"),
    ({"s": -1}, RangeError, "s: expected a number in [0, ∞), got -1"),
    ({"seed": -1}, RangeError, "seed: expected an integer ≥ 0, got -1"),
    ({"W": LAYER["W"]}, InputError, "keys: expected both W and keys, or neither, got None"),
    ({"keys": LAYER["keys"]}, InputError, "W: expected both W and keys, or neither, got None"),
    (
        LAYER | {"W": np.ones((1, 6))},
        ShapeError,
        "W: expected at least 2 neurons (rows), got shape (1, 6)",
    ),
    (
        {"W": np.ones((3, 1)), "keys": np.ones((1, 2))},
        ShapeError,
        "W: expected at least 2 dimensions (columns), got shape (3, 1)",
    ),
    (
        LAYER | {"keys": np.ones((5, 9))},
        ShapeError,
        "keys: expected shape (6, any), got shape (5, 9)",
    ),
    (
        LAYER | {"keys": LAYER["keys"][:, :4]},
        InputError,
        "keys: expected keys that span the space, for low-rank edits, got keys that do not",
    ),
    (
        LAYER | {"W": np.zeros((3, 6))},
        ZeroRowError,
        "W: expected no zero row (it has no direction), got 3 zero rows (first at row 0)",
    ),
    (LAYER | {"W": np.ones((2, 6))}, CoincidentNeuronsError, naive.COINCIDENT.format(0, 1)),
]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("changes", "error", "message"), BAD)
def test_bad_arguments(changes: dict[str, Any], error: type[Exception], message: str, tmp_path: Path) -> None:
    path = tmp_path / "probe.jsonl"
    naive.check_refused(lambda: probe_bound(**SMALL | {"store": path} | changes), error, message)
    assert not path.exists()


def test_a_critical_layer_has_no_gradient_to_follow() -> None:
    with pytest.raises(
        InputError, match=r"^W: expected weights whose gradient ∇HE does not vanish, got ‖∇HE"
    ):
        probe_bound(W=naive.simplex(4), keys=np.eye(naive.simplex(4).shape[1]))


def test_a_store_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n")
    with pytest.raises(InputError, match=r"^store: expected a new file"):
        probe_bound(**SMALL, store=path)
    assert path.read_text() == "a,b\n"


# --- a task of the study --------------------------------------------------------------------------

FOLDER = Path("not looked at")
TASK = Probe(shape=(4, 3), sizes=(1e-2,), trials=1, seed=2)


def test_rows_of_a_task_are_those_of_the_probe_with_the_worst_of_each_cell():
    found = pd.DataFrame(TASK.rows(FOLDER))
    expected = probe_bound(shapes=[(4, 3)], conditions=[1e6], sizes=(1e-2,), trials=1, seed=2)
    assert len(found) == len(expected) > 0
    pd.testing.assert_frame_equal(found[list(expected)], expected, check_dtype=False)
    assert found["tightness"].equals(found["tightness_max"])
    certified = found[found["constant"] == "certified"]
    assert certified["applicable"].sum() > 0
    assert certified["violations"].sum() == 0
    assert found[found["constant"] == "gradient"]["violations"].sum() > 0


def test_rows_of_a_task_are_plain_and_depend_on_the_seed():
    found = TASK.rows(FOLDER)
    assert all(type(value) in (str, int, float, bool) for row in found for value in row.values())
    assert repr(found) == repr(TASK.rows(FOLDER))
    assert repr(found) != repr(replace(TASK, seed=3).rows(FOLDER))


def test_a_tasks_fields_are_what_stores_have():
    assert list(TASK.config()) == ["layer", "shape", "sizes", "trials", "seed"]


def test_a_real_layer_is_probed_with_its_own_weights_and_keys(monkeypatch, tmp_path):
    generator = torch.Generator().manual_seed(0)
    W, keys = torch.randn(5, 4, generator=generator), torch.randn(9, 4, generator=generator)
    asked = []

    def recorded(host, folder):
        asked.append((host.layer, host.source, folder))
        return SimpleNamespace(keys=keys)

    monkeypatch.setattr(Probe.family, "recorded", recorded)
    monkeypatch.setattr(Probe.family, "weight", lambda host: W)
    found = pd.DataFrame(Probe(layer=2, sizes=(1e-2,), trials=1).rows(tmp_path))
    assert asked == [(2, "recorded", tmp_path)]
    assert set(found["inputs"]) == {"activations"}
    assert set(found[["n", "d"]].itertuples(index=False, name=None)) == {(5, 4)}
    # A batch of edits needs keys that span the space, which subjects that repeat do not.
    assert "low-rank" not in set(found["direction"])
    assert "adversarial" in set(found["direction"])
