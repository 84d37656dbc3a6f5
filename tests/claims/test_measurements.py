"""Measurements can come out against the ledger: each of them is shown numbers that must be a surprise."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

from sphere_theory.claims import Context, Finding, ledger
from sphere_theory.claims.measurements import (
    along_streams,
    base,
    bound,
    certificates,
    controls,
    energy,
    first_look,
    mechanisms,
    operator,
    probe,
)
from sphere_theory.claims.measurements.base import Measurement, against, proportion, rate_text
from sphere_theory.claims.streams import Streamed
from sphere_theory.experiments.edits import memit_update
from sphere_theory.experiments.operator_effects import RIDGE, split_keys
from sphere_theory.models.moments import second_moment
from sphere_theory.study.estimates import committed_estimates


def _context(**found: Any) -> Context:
    """A context in which shared computations are done already."""
    context = Context(quick=True)
    for name, rows in found.items():
        context.once(name.replace("_", " "), lambda rows=rows: rows)
    return context


# --- rivals -------------------------------------------------------------------------------------------


def _toy(values: list[float], *, expected: bool = True) -> Finding:
    @against("rows", {"all are small": lambda row: row["x"] > 5, "all are large": lambda row: row["x"] < 5})
    def toy(context: Context) -> Finding:
        return Finding(expected, "a toy", "by 1", {"rows": [{"x": value} for value in values]})

    return toy(Context())


def test_a_rival_is_ruled_out_by_the_first_row_that_contradicts_it():
    finding = _toy([1, 2, 9])
    assert finding.expected
    assert finding.data["mutants"] == [
        {"name": "all are small", "killed": True, "after": 3},
        {"name": "all are large", "killed": True, "after": 1},
    ]


def test_a_rival_that_no_row_contradicts_is_a_surprise_and_is_named():
    finding = _toy([1, 2])
    assert not finding.expected
    assert finding.summary == "a toy; NOT RULED OUT: all are small"
    assert finding.data["mutants"][0] == {"name": "all are small", "killed": False, "after": 2}


def test_rivals_do_not_save_what_failed():
    assert not _toy([1, 9], expected=False).expected


def test_every_measurement_of_the_ledger_names_its_rivals():
    for claim in ledger():
        for piece in claim.evidence:
            if piece.kind == "measurement":
                assert isinstance(piece.run, Measurement)
                assert len(piece.mutants) == len(set(piece.mutants)) >= 3, (claim.id, piece.name)
                assert piece.mutants == tuple(piece.run.rivals)


def test_a_rate_has_wilsons_interval():
    found = proportion(4, 4)
    assert (found["rate"], found["high"]) == (1.0, 1.0)
    assert found["low"] == pytest.approx(4 / (4 + 1.959964**2))
    assert rate_text(proportion(1, 4)) == "1 of 4 (25% [5%, 70%])"
    assert base.spread([2.0]) == "2"
    assert base.spread([3.0, 1.0, 2.0]) == "2 [1, 3]"
    assert base.brief([1.0, 1.0001]) == "1"
    assert base.brief([1.0, 2.0]) == "1 to 2"
    assert math.isnan(base.largest([math.nan]))
    assert base.largest([math.nan, 2.0, 1.0]) == 2.0


# --- O5 to O8 and P2 --------------------------------------------------------------------------------------


def _edits(
    memit: float = 2.0,
    tuned: float = 2.0,
    kept: float = 1.3,
    tuned_kept: float = 0.9,
    usual: float = 0.9,
    size: float = 0.1,
) -> list[dict]:
    kinds = [("memit", RIDGE, usual, kept), ("memit", operator.RIDGES[-1], memit, kept)]
    kinds += [("fine-tuning", None, tuned, tuned_kept), ("random", None, 1.0, 1.0)]
    return [
        {"layer": 3, "trial": trial, "edit": edit, "ridge": ridge, "relative_edit": size}
        | {"energy": ratio, "interference": inside, "beside": ratio / 0.9}
        for trial in range(4)
        for edit, ridge, ratio, inside in kinds
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"memit": 0.95}, False),  # |ΔHE| never larger after P, for small MEMIT edits
        ({"tuned": 0.9}, False),
        ({"memit": 0.8, "tuned": 0.8}, False),
        ({"usual": 1.1}, False),
        ({"size": 2.0}, False),  # of another size than the ledger's
    ],
)
def test_a_projector_that_guarantees_a_smaller_change_is_a_surprise(changes, expected):
    finding = operator.projection_effect(_context(single_edits=_edits(**changes)))
    assert finding.expected is expected
    assert "larger after P" in finding.summary


def _trial(
    edit: str, *, price: float | None = None, energy: float = 1.1, defect: float = 0.9, size: float = 1.0
) -> dict:
    whole = {"energy": 0.9, "interference": 0.9, "survival": 0.9, "price": 1.0}
    other = whole | {"energy": 0.8, "price": 1.2}
    mine = {"energy": energy, "interference": price, "survival": 1.0, "price": price}
    effects = dict.fromkeys(controls.OPERATORS, other) | {"SPHERE": mine, "same norm": whole}
    facts = {"layer": 3, "defect": defect, "edit": edit, "trial": 0, "relative_edit": size}
    return facts | {"effects": effects}


def _trials(memit: float = 1.4, tuned: float = 1.0, energy: float = 1.1, **more: Any) -> list[dict]:
    return [
        _trial("memit", price=memit, energy=energy, **more),
        _trial("fine-tuning", price=tuned, energy=energy, size=0.1),
        _trial("random", energy=energy),
    ]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (_trials(), True),
        (_trials(memit=0.9), False),
        (_trials(tuned=0.9), False),
        (_trials(energy=0.8), False),  # 0.9 is what shrinkage comes to
        (_trials(memit=1.2, tuned=1.2, energy=1.0), True),
        (_trials(size=30.0), False),  # edits of another size than the ledger's
    ],
)
def test_directions_that_gain_over_shrinkage_are_a_surprise(rows, expected):
    assert controls.directions_or_shrinkage(_context(controls=rows)).expected is expected


@pytest.mark.parametrize(
    ("edits", "defect", "expected"),
    [
        ({}, 0.9, True),
        ({"kept": 0.9}, 0.9, False),
        ({"tuned_kept": 1.1}, 0.9, False),
        ({}, 0.1, False),
        ({"size": 70.0}, 0.9, False),
    ],
)
def test_interference_that_moves_the_other_way_is_a_surprise(edits, defect, expected):
    context = _context(single_edits=_edits(**edits), controls=_trials(defect=defect))
    assert mechanisms.interference(context).expected is expected


def test_memit_edits_of_every_ridge_come_from_one_factorisation():
    W = torch.randn(6, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    keys = split_keys(torch.randn(12, 400, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    factor = torch.linalg.cholesky(keys.moment)
    found = operator.memit_by_ridge(W, keys, factor, operator.RIDGES, 3)
    for ridge, update in found.items():
        usual = memit_update(W, keys.known, batch=100, ridge=ridge, seed=3, moment=keys.moment)
        torch.testing.assert_close(update.dense(), usual.dense(), rtol=1e-9, atol=1e-12)


OTHER_RANKS = (("raw_released", 71), ("unit_paper", 70), ("unit_paper", 60), ("unit_paper", 95))


def test_rules_that_differ_off_ties_or_rows_that_do_not_matter_are_surprises(monkeypatch):
    usual = {"layer": 0, "raw_paper": 70, "raw_released": 70, "unit_paper": 80, "unit_released": 80}
    for changes, expected in (({}, True), *(({name: rank}, False) for name, rank in OTHER_RANKS)):
        monkeypatch.setattr(operator, "rank_rows", lambda context, row=usual | changes: [row])
        assert operator.rank_rules(Context()).expected is expected


class _Layer(Context):
    """Another layer than the recorded one, and no model."""

    def weight(self, layer: int) -> torch.Tensor:
        return torch.randn(24, 40, generator=torch.Generator().manual_seed(layer), dtype=torch.float64)

    def keys(self, layer: int) -> torch.Tensor:
        return torch.randn(40, 500, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def test_the_gradient_of_another_layer_is_a_surprise():
    assert not operator.gradient_share(_Layer(quick=True)).expected


# --- E5 to E7 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("third", "others", "simplex", "expected"),
    [
        (0.9994, [0.999, 1.017], 1.001, True),
        (0.9994, [0.999, 1.021], 1.001, False),  # beyond the 2%
        (0.9994, [0.999, 0.9995], 1.001, False),  # below uniform on every matrix
        (0.9992, [0.999, 1.017], 1.001, False),
        (0.9994, [0.999, 1.017], 0.999, False),  # below what is possible
    ],
)
def test_uniformity_tests_what_the_ledger_says(monkeypatch, third, others, simplex, expected):
    names = [f"encoder.layer.{layer}.output.dense.weight" for layer in range(6)]
    values = dict(zip(names, [*others, others[0], third, others[0], others[0]], strict=True))

    def described(name: str, W: object) -> SimpleNamespace:
        row = {"tensor": name, "n": 384, "d": 1536, "s": 1.0, "uniformity": values[name]}
        return SimpleNamespace(record=lambda: row | {"simplex_ratio": simplex})

    monkeypatch.setattr(energy, "describe_layer", described)
    context = Context(quick=True)
    matrices = SimpleNamespace(matrices=lambda pattern: names, matrix=lambda name: torch.zeros(1))
    context.__dict__["checkpoint"] = matrices
    assert energy.uniformity(context).expected is expected


def _silent(**changes: float) -> list[dict]:
    row = {"layer": 3, "energy": 0.0, "spectrum": 1e-15, "output_change_squared": 3.0}
    return [
        row | {"edit": "10% longer", "norms": 0.1, "spectrum": 0.2, "outputs": 0.1},
        row | {"edit": "W ↦ −W", "norms": 1e-16, "outputs": 2.0} | changes,
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        *(({name: 1e-3}, False) for name in ("energy", "norms", "spectrum")),
        ({"outputs": 0.01}, False),
    ],
)
def test_an_edit_that_is_seen_after_all_is_a_surprise(changes, expected):
    assert energy.unseen_edits(_context(silent_edits=_silent(**changes))).expected is expected


def test_what_is_not_seen_on_a_layer_is_measured():
    rows = energy.silent_edits(_Layer(quick=True))
    assert [row["edit"] for row in rows] == ["10% longer", "W ↦ WR, R a permutation", "W ↦ −W"]
    assert all(row["energy"] < 1e-12 for row in rows)
    assert [row["norms"] < 1e-12 for row in rows] == [False, True, True]
    assert [row["spectrum"] < 1e-12 for row in rows] == [False, True, True]
    assert rows[2]["outputs"] == pytest.approx(2)


def test_energies_that_stay_where_neurons_meet_are_a_surprise(monkeypatch):
    assert energy.meeting_neurons(_Layer(quick=True)).expected
    monkeypatch.setattr(energy, "energy_gradient", lambda W: torch.ones(2, 2))
    assert not energy.meeting_neurons(_Layer(quick=True)).expected


# --- B2 to B8 ---------------------------------------------------------------------------------------------


def _audit(**verdicts: str) -> dict[str, Any]:
    checks = {"gradient": "holds", "triangle": "holds", "certified": "holds", "unconditional": "holds"}
    facts = {"energy_change": 1.0, "relative_edit": 1e-4, "output_change_squared": 1.0, "smallest_gap": 1.0}
    facts |= {"orthonormality_error": 0.0, "input_strength": 1.0, "edit": "ascent", "inputs": "orthonormal"}
    constants = {"gradient": 1.0, "triangle": 2.0, "certified": 4.0, "unconditional": 3.0}
    return facts | {
        "checks": {
            kind: {"verdict": verdict, "tightness": 0.1, "constant": constants[kind]}
            for kind, verdict in (checks | verdicts).items()
        }
    }


STATED = _audit(gradient="violated")
LARGE = _audit(certified="not applicable") | {"relative_edit": 1.0, "edit": "large", "smallest_gap": -1.0}
SMALL = _audit() | {"relative_edit": 1e-3, "edit": "small"}
ON_KEYS = _audit() | {"orthonormality_error": 9.0, "edit": "memit"}
RADIAL = _audit() | {"energy_change": 0.0, "output_change_squared": 4.0, "edit": "radial"}
USUAL = [STATED, LARGE, SMALL, ON_KEYS, RADIAL]


@pytest.mark.parametrize(
    "run", [mechanisms.theorem_as_stated, bound.unconditional_bound, bound.certified_bound]
)
@pytest.mark.parametrize(
    ("records", "wrong"),
    [
        (USUAL, ()),
        ([*USUAL, _audit(unconditional="violated")], ("theorem_as_stated", "unconditional_bound")),
        (
            [*USUAL, _audit(unconditional="not applicable")],
            ("theorem_as_stated", "unconditional_bound"),
        ),
        ([*USUAL, _audit(certified="violated")], ("certified_bound",)),
        ([*USUAL, _audit(certified="not applicable")], ("certified_bound",)),  # though it is small
        (USUAL[1:], ("theorem_as_stated", "unconditional_bound")),  # holds as stated
    ],
)
def test_audits_that_come_out_otherwise_are_a_surprise(monkeypatch, run, records, wrong):
    for module in (bound, mechanisms):
        monkeypatch.setattr(module, "all_audits", lambda context: records)
    assert run(Context()).expected is (run.take.__name__ not in wrong)


def test_a_constant_above_the_certified_one_is_a_surprise(monkeypatch):
    other = _audit()
    other["checks"]["unconditional"]["constant"] = 5.0
    monkeypatch.setattr(bound, "all_audits", lambda context: [*USUAL, other])
    assert not bound.certified_bound(Context()).expected


HIDDEN = _audit(gradient="violated") | {"edit": "hidden", "output_change_squared": 1e-30, "input_strength": 0}
SEEN = _audit() | {"edit": "small", "input_strength": 0}


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([HIDDEN, SEEN], True),
        ([HIDDEN | {"checks": _audit()["checks"]}, SEEN], False),
        ([HIDDEN, SEEN | {"checks": STATED["checks"]}], False),
        ([HIDDEN, SEEN | {"input_strength": 0.5}], False),
        ([HIDDEN, SEEN | {"checks": _audit(unconditional="violated")["checks"]}], False),
    ],
)
def test_inputs_that_see_a_hidden_edit_are_a_surprise(monkeypatch, records, expected):
    monkeypatch.setattr(bound, "audits", lambda *_: records)
    assert bound.hidden_edit(Context()).expected is expected


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ({"gradient": "violated"}, True),
        ({}, False),
        ({"gradient": "violated", "triangle": "violated"}, False),
        ({"gradient": "violated", "unconditional": "violated"}, False),
    ],
)
def test_a_gradient_that_bounds_its_own_direction_is_a_surprise(monkeypatch, verdicts, expected):
    record = _audit(**verdicts)
    record["checks"]["gradient"]["tightness"] = 1.2
    monkeypatch.setattr(bound, "audit_record", lambda audit, **labels: record)
    monkeypatch.setattr(bound, "audit_bound", lambda W, delta: None)
    assert bound.ascent_edit(_Layer(quick=True)).expected is expected


def _cell(constant: str, direction: str, size: float, *, violations: int = 0, applicable: int = 2) -> dict:
    labels = {"n": 4, "d": 3, "inputs": "orthonormal", "direction": direction, "size": size}
    counts = {"trials": 2, "applicable": applicable, "violations": violations}
    tightness = "nan" if not applicable else 1.5 if violations else 0.99
    return labels | counts | {"constant": constant, "tightness": tightness}


def _probe(**changes: Any) -> list[dict]:
    """A probe as it should be; `changes` are those of the adversary's small edits."""
    certified = {"violations": changes.pop("certified", 0), "applicable": changes.pop("applicable", 2)}
    proved = {"violations": changes.pop("unconditional", 0), "applicable": changes.pop("covered", 2)}
    return [
        _cell("certified", "adversarial", 1e-8, **certified),
        _cell("certified", "random", 1e-2),
        _cell("certified", "adversarial", 1.0, applicable=0),
        _cell("unconditional", "adversarial", 1e-8, **proved),
        _cell("unconditional", "adversarial", 10.0),
        _cell("unconditional", "adversarial", 1e-4) | {"inputs": "partial"},
        _cell("gradient", "random", 1e-8),
        _cell("gradient", "adversarial", 1e-8, violations=changes.pop("gradient", 2)),
        _cell("gradient", "adversarial", 1e-1, violations=1),
        _cell("gradient", "adversarial", 10.0),  # beyond where it has to find one
    ]


@pytest.mark.parametrize(
    ("run", "rows", "expected"),
    [
        (probe.probed_certificate, _probe(), True),
        (probe.probed_certificate, _probe(certified=1), False),
        (probe.probed_certificate, _probe(applicable=1), False),
        (probe.probed_unconditional, _probe(), True),
        (probe.probed_unconditional, _probe(unconditional=1), False),
        (probe.probed_unconditional, _probe(covered=1), False),
        (probe.probed_first_order, _probe(), True),
        (probe.probed_first_order, _probe(gradient=0), False),
        (
            probe.probed_first_order,
            [r for r in _probe() if r["direction"] == "random"],
            False,
        ),  # no adversary
    ],
)
def test_a_probe_that_comes_out_otherwise_is_a_surprise(run, rows, expected):
    assert run(_context(probe=rows)).expected is expected


def test_a_probe_is_run_once_for_all_claims(monkeypatch):
    calls: list[dict] = []
    honest = probe.probe_bound

    def counted(**arguments: Any) -> Any:
        calls.append(arguments)
        return honest(**arguments | {"sizes": [1e-4, 1.0, 10.0]})

    monkeypatch.setattr(probe, "probe_bound", counted)
    context = Context(quick=True, seed=5)
    found = [run(context) for run in (probe.probed_unconditional, probe.probed_certificate)]
    assert all(one.data["mine"] for one in found)
    assert [one.expected for one in found] == [True, True], [one.summary for one in found]
    assert len(calls) == 1
    assert calls[0]["seed"] == 5
    assert {row["direction"] for row in found[1].data["probe"]} >= {"adversarial", "random"}


def _regime(step: float, edits: int, regime: str, **changes: float) -> dict:
    cell = {"step": step, "edits": edits, "regime": regime, "energy_change": 1.0, "rounding": 1e-9}
    return cell | {"low": -9.0, "high": 9.0, "bound": 50.0} | changes


@pytest.mark.parametrize(
    ("changes", "last", "expected"),
    [
        ({}, "unconditional", True),
        ({"bound": 0.5}, "unconditional", False),
        ({"low": 2.0}, "unconditional", False),
        ({"high": 0.5}, "unconditional", False),
        ({}, "first order only", False),
    ],
)
def test_a_stream_beyond_the_bound_is_a_surprise(monkeypatch, changes, last, expected):
    found = [_regime(1e-5, 1, "first order only"), _regime(1.0, 100_000, last, **changes)]
    cells = [SimpleNamespace(step=c["step"], edits=c["edits"], record=lambda c=c: c) for c in found]
    monkeypatch.setattr(bound, "regime_map", lambda W, **_: cells)
    assert bound.regimes(_Layer(quick=True)).expected is expected


# --- B7, B9, B10 ------------------------------------------------------------------------------------------


def _used(edit: str, size: float, weights: str = "MiniLM", **used: float) -> dict:
    shares = {"triangle": 1e-9, "unconditional": 1e-9, "angles": 1e-9, "enclosure": 1e-7, "edit-free": 1e-8}
    facts = {"weights": weights, "layer": 3, "edit": edit, "s": 1.0, "size": size, "limit": 1e-6}
    return facts | {"used": shares | used}


@pytest.mark.parametrize(
    ("random", "ascent", "expected"),
    [
        ({}, {"enclosure": 0.9}, True),
        ({"unconditional": 0.1}, {"enclosure": 0.9}, False),
        ({}, {"enclosure": 1.01}, False),  # beyond what is proved
        ({}, {"enclosure": 0.9, "angles": 1.2}, False),
        ({}, {}, False),  # nothing comes near any bound
    ],
)
def test_a_tight_bound_is_a_surprise(monkeypatch, random, ascent, expected):
    rows = [_used("random", 1e-2, **random), _used("ascent", 1e-2, **ascent)]
    monkeypatch.setattr(certificates, "_tightness_rows", lambda context: rows)
    finding = certificates.tightness(Context())
    assert finding.expected is expected
    assert [row[:3] for row in finding.data["shown"]["rows"]] == [
        ["MiniLM", "random", "1"],
        ["MiniLM", "ascent", "1"],
    ]


def test_every_bound_covers_a_small_layer_whatever_the_exponent(monkeypatch):
    monkeypatch.setattr(certificates, "GAUSSIAN", (8, 12))
    context = _Layer(quick=True)
    rows = list(certificates._tightness_rows(context))
    assert {row["s"] for row in rows} == set(certificates.EXPONENTS)
    assert {row["weights"] for row in rows} == {"Gaussian", "MiniLM"}
    used = [value for row in rows for name, value in row["used"].items() if name != "triangle"]
    assert base.largest(used) <= 1
    assert sum(math.isfinite(value) for value in used) > len(used) / 2
    # A random edit is not the weights themselves, though both are drawn with the run's seed.
    assert all(row["energy_change"] != 0 for row in rows)


def _interval(edit: str, size: float, low: float, high: float, change: float = 1.0, pieces: int = 1) -> dict:
    row = {"edit": edit, "size": size, "pieces": pieces, "seconds": 0.1, "energy_change": change}
    row |= {"low": low, "high": high, "inside": low <= change <= high, "reached": 0.5, "width": high - low}
    return row | {"sign": (low > 0) - (high < 0)}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([_interval("ascent", 1e-6, 0.5, 1.4), _interval("random", 1e-2, -1.0, 9.0)], True),
        ([_interval("ascent", 1e-6, 1.1, 1.4), _interval("random", 1e-2, -1.0, 9.0)], False),
        ([_interval("ascent", 1e-6, -0.5, 1.4), _interval("random", 1e-2, 0.1, 9.0)], False),
        ([_interval("ascent", 1e-6, 0.5, 1.4)], False),  # certifies every sign
        ([_interval("ascent", 1e-6, 0.6, 1.4), _interval("random", 1e-2, -9.0, 11.0)], False),  # no remainder
    ],
)
def test_an_enclosure_that_misses_is_a_surprise(monkeypatch, rows, expected):
    monkeypatch.setattr(certificates, "_enclosed", lambda context: rows)
    assert certificates.enclosure(Context()).expected is expected


@pytest.mark.parametrize(
    ("ascent", "beyond", "expected"),
    [(0.95, math.nan, True), (1.01, math.nan, False), (0.5, math.nan, False), (0.95, 9.0, False)],
)
def test_an_edit_beyond_what_its_size_allows_is_a_surprise(monkeypatch, ascent, beyond, expected):
    row = {"edit": "ascent", "size": 1e-3, "bound": 1.0, "energy_change": ascent, "used": ascent}
    rows = [
        row | {"first_order": 0.9},
        row | {"edit": "random", "energy_change": 0.01, "used": 0.01, "first_order": 0.9},
        row | {"size": 1.0, "bound": beyond, "used": 0.1 * beyond, "first_order": 1e3},
    ]
    monkeypatch.setattr(certificates, "_free_rows", lambda context: rows)
    assert certificates.edit_free_bound(Context()).expected is expected


# --- along streams ----------------------------------------------------------------------------------------


def _stream(**changes: Any) -> pd.DataFrame:
    row = {"edits": 100, "energy_change": 1.0, "path_bound": 50.0, "whole_bound": 20.0}
    for way in ("step", "total"):
        row |= {f"{way}_{kind}": "holds" for kind in ("gradient", "triangle", "unconditional")}
    row |= {"total_certified": "not applicable", "step_first_order_error": 0.5}
    row |= {"step_gradient_tightness": 0.4, "step_triangle_tightness": 0.1}
    return pd.DataFrame([row, row | {"edits": 200} | changes])


@pytest.mark.parametrize(
    ("run", "changes", "expected"),
    [
        (along_streams.path_bound, {}, True),
        (along_streams.path_bound, {"path_bound": math.inf}, False),
        (along_streams.path_bound, {"energy_change": -60.0}, False),
        (along_streams.path_bound, {"total_unconditional": "violated"}, False),
        (along_streams.path_bound, {"step_unconditional": "violated"}, False),
        (along_streams.path_bound, {"whole_bound": math.nan}, False),
        (along_streams.readings_along_a_stream, {}, True),
        (along_streams.readings_along_a_stream, {"step_triangle": "violated"}, False),
        (along_streams.readings_along_a_stream, {"total_triangle": "violated"}, False),
    ],
)
def test_a_stream_that_breaks_its_bound_is_a_surprise(monkeypatch, run, changes, expected):
    monkeypatch.setattr(along_streams, "_audited", lambda context: _stream(**changes))
    assert run(Context(quick=True)).expected is expected


class _Keys(_Layer):
    """Keys that leave AlphaEdit a proper null space."""

    def keys(self, layer: int) -> torch.Tensor:
        keys = torch.randn(40, 4000, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
        keys[25:] *= 1e-2
        return keys


def test_sequential_editing_is_one_time_editing_also_in_a_proper_null_space():
    context = _Keys(quick=True)
    memory, _ = along_streams.stream_host(context)
    assert torch.allclose(memory.moment(), second_moment(context.keys(3)))
    for run in (along_streams.sequential_is_one_time, along_streams.null_space_kept):
        finding = run(context)
        assert finding.expected, finding.summary
    (row,) = finding.data["rows"]
    assert (row["dimension"], row["of"]) == (15, 40)


def test_an_edit_outside_the_null_space_is_a_surprise(monkeypatch):
    honest = along_streams.streamed

    def shifted(context: Context, name: str, editor: object) -> Streamed:
        found = honest(context, name, editor)
        return Streamed(found.weight + 1e-3, found.frame)

    monkeypatch.setattr(along_streams, "streamed", shifted)
    context = _Keys(quick=True)
    assert not along_streams.null_space_kept(context).expected
    assert not along_streams.sequential_is_one_time(context).expected


def _turned(overlap: float) -> dict[str, Streamed]:
    frame = pd.DataFrame({"edits": [100], "principal_overlap": [overlap]})
    return {"memit-seq": Streamed(torch.zeros(1, 1), frame)}


@pytest.mark.parametrize(("overlap", "expected"), [(0.3, True), (0.6, False), (0.05, False)])
def test_a_principal_space_that_stays_is_a_surprise(monkeypatch, overlap, expected):
    monkeypatch.setattr(along_streams, "all_streams", lambda context: _turned(overlap))
    context = _Keys(quick=True)
    context.once("null space", lambda: torch.eye(40, dtype=torch.float64)[:, :35])
    assert along_streams.principal_space_turns(context).expected is expected


# --- P1 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["unseen_edits", "hidden_edit", None])
def test_stability_both_ways_needs_both(monkeypatch, broken):
    rows = {
        "rows": _silent(),
        "audits": [HIDDEN],
    }
    for name in ("unseen_edits", "hidden_edit"):
        finding = Finding(name != broken, name, "by 1", rows)
        monkeypatch.setattr(mechanisms, name, lambda context, finding=finding: finding)
    assert mechanisms.stability_both_ways(Context()).expected is (broken is None)


def test_hosts_that_agree_are_a_surprise(monkeypatch):
    found = committed_estimates()
    assert mechanisms.recorded_estimates(Context()).expected
    ahead = [host for host in found.hosts if mechanisms.closer([mechanisms.compared(host)])]
    behind = [host for host in found.hosts if host not in ahead]
    for hosts in (ahead, behind):
        some = SimpleNamespace(hosts=tuple(hosts))
        monkeypatch.setattr(mechanisms, "committed_estimates", lambda some=some: some)
        assert not mechanisms.recorded_estimates(Context()).expected


def _course(efficacy: list[float], change: list[float], norm: list[float]) -> Streamed:
    columns = {"efficacy": efficacy, "specificity": 1.0, "energy_change": change, "edit_norm": norm}
    frame = pd.DataFrame(columns).assign(edits=[100 * (k + 1) for k in range(len(efficacy))])
    return Streamed(torch.zeros(1, 1), frame)


FALLING = [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65]
GROWING = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
MIXED = [4.0, 1.0, 3.0, 8.0, 2.0, 7.0, 5.0, 6.0]


@pytest.mark.parametrize(
    ("streams", "expected"),
    [
        ({"a": _course(FALLING, GROWING, GROWING)}, True),
        ({"a": _course(FALLING, GROWING, MIXED)}, False),  # |ΔHE| alone goes with efficacy
        ({"a": _course(FALLING, MIXED, GROWING)}, False),  # ‖ΔW‖ alone does
        ({"a": _course([1.0] * 8, GROWING, GROWING)}, False),  # nothing moves
    ],
)
def test_a_stream_in_which_the_energy_says_more_is_a_surprise(monkeypatch, streams, expected):
    monkeypatch.setattr(first_look, "all_streams", lambda context: streams)
    monkeypatch.setattr(first_look, "as_studied", lambda row: True)
    assert first_look.energy_predicts(Context(quick=True)).expected is expected


def test_estimates_outside_the_recorded_intervals_are_a_surprise(monkeypatch):
    """Within streams efficacy falls as both grow; over all points it rises, unlike the study."""
    streams = {
        f"stream {k}": _course([0.6 + 0.05 * k, 0.59 + 0.05 * k], *[[10.0 * k + 1, 10.0 * k + 2]] * 2)
        for k in range(7)
    }
    monkeypatch.setattr(first_look, "all_streams", lambda context: streams)
    finding = first_look.energy_predicts(Context())
    pooled = next(row for row in finding.data["rows"] if row["editor"] == first_look.EARLY)
    assert pooled["points"] == 14
    assert pooled["HE"]["low"] > 0.05
    assert not finding.expected


def test_the_full_budget_has_points_before_a_collapse(monkeypatch):
    """With efficacy never at the level nothing was learned, and no estimate can be compared."""
    low = [value / 4 for value in FALLING]
    monkeypatch.setattr(first_look, "all_streams", lambda context: {"a": _course(low, GROWING, GROWING)})
    assert first_look.energy_predicts(Context(quick=True)).expected
    assert not first_look.energy_predicts(Context()).expected
