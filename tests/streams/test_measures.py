"""Every column of a run against a literal computation from the weights before and after each batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import naive
import numpy as np
import pandas as pd
import pytest
import torch
from naive import check_refused
from scipy.linalg import subspace_angles
from small_layer import EDITOR, MEASURES, small_host

from sphere_theory import LowRankUpdate, audit_bound, bound_constant, energy, uniform_energy
from sphere_theory.bound import KINDS
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.finetune import FineTune
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.sphere import Sphere
from sphere_theory.errors import RangeError
from sphere_theory.hosts.edits import EditStream
from sphere_theory.streams.measures import Evaluator, Measures, step_bound
from sphere_theory.streams.runner import Run, run_stream
from sphere_theory.streams.store import RunStore

# 75 edits of 30 facts: most of them are replaced by later ones.
FACTS, EDITS, BATCH = 30, 75, 7
ALL = Measures(every=2, candidates=FACTS, preserved_candidates=40)
EDITORS: dict[str, Editor] = {
    "memit-seq": MemitSequential(ridge=2.0),
    "sphere": Sphere(MemitSequential(ridge=0.5)),
    "ft": FineTune(learning_rate=0.02),
}


class Case:
    """A run, and its weights as numpy."""

    def __init__(self, editor: str, folder: Path, dtype: torch.dtype, measures: Measures) -> None:
        self.memory, self.stream = small_host(EDITS, facts=FACTS, dtype=dtype)
        self.store = RunStore(folder)
        self.run: Run = run_stream(
            self.memory, EDITORS[editor], self.stream, measures, self.store, batch=BATCH, keep_updates=True
        )
        self.frame: pd.DataFrame = self.run.frame()
        self.stops = [min(start + BATCH, EDITS) for start in range(0, EDITS, BATCH)]
        self.weights = [naive.plain(self.run.weight_at(edits)) for edits in (0, *self.stops)]

    def column(self, name: str) -> np.ndarray:
        return self.frame[name].to_numpy(dtype=float)


@pytest.fixture(scope="module", params=EDITORS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(request.param, tmp_path_factory.mktemp("measures"), torch.float64, ALL)


def plain(stream: EditStream, name: str) -> np.ndarray:
    return naive.plain(getattr(stream, name))


def found(W: np.ndarray, key: np.ndarray, values: np.ndarray, wanted: int) -> bool:
    """Brute force: of all values the nearest to the output is the wanted one."""
    distances = [float(np.linalg.norm(W @ key - value)) for value in values]
    return int(np.argmin(distances)) == wanted


def latest(stream: EditStream, done: int) -> list[int]:
    """Places of the last edit of each fact."""
    last: dict[int, int] = {}
    for place in range(done):
        last[int(stream.facts[place])] = place
    return sorted(last.values())


def efficacy(case: Case, W: np.ndarray, places: list[int] | range, keys: np.ndarray) -> float:
    values, targets = plain(case.stream, "values"), case.stream.targets.tolist()
    return float(np.mean([found(W, keys[place], values, targets[place]) for place in places]))


def paraphrases(stream: EditStream) -> np.ndarray:
    noise, keys = plain(stream, "paraphrases"), plain(stream, "keys")
    return np.array([
        key + stream.noise * np.linalg.norm(key) * noise[place % len(noise)] for place, key in enumerate(keys)
    ])


def check(got: np.ndarray, expected: list[float], due: np.ndarray, tolerance: float = 1e-9) -> None:
    """A column holds the expected numbers where it is due, and NaN elsewhere."""
    assert np.isnan(got[~due]).all()
    np.testing.assert_allclose(got[due], np.array(expected)[due], rtol=tolerance, atol=1e-12)


def every(case: Case) -> np.ndarray:
    return np.ones(len(case.stops), dtype=bool)


def second(case: Case) -> np.ndarray:
    """Every second batch, and the last."""
    return np.array([(batch + 1) % 2 == 0 or stop == EDITS for batch, stop in enumerate(case.stops)])


def test_rows_are_one_a_batch(case: Case) -> None:
    assert case.frame["batch"].tolist() == list(range(len(case.stops)))
    assert case.frame["edits"].tolist() == case.stops
    assert (case.frame[["seconds_solve", "seconds_measure"]] >= 0).all().all()


def test_energy_and_its_change(case: Case) -> None:
    energies = [energy(W) for W in case.weights]
    check(case.column("energy"), energies[1:], every(case))
    unit = uniform_energy(*case.weights[0].shape)
    check(case.column("energy_uniform"), [value / unit for value in energies[1:]], every(case))
    changes = np.array(energies[1:]) - energies[0]
    np.testing.assert_allclose(case.column("energy_change"), changes, atol=1e-9 * energies[0])


def test_norms(case: Case) -> None:
    W0, size = case.weights[0], np.linalg.norm(case.weights[0])
    lengths = [np.linalg.norm(W, axis=1) for W in case.weights]
    before = np.linalg.norm(W0, axis=1)
    for name, of in (("min", np.min), ("mean", np.mean), ("max", np.max)):
        check(case.column(f"row_norm_{name}"), [of(norms) for norms in lengths[1:]], every(case))
    growth = [np.prod(norms / before) ** (1 / len(norms)) - 1 for norms in lengths[1:]]
    check(case.column("row_norm_growth"), growth, every(case), 1e-7)
    steps = [np.linalg.norm(b - a) / size for a, b in zip(case.weights, case.weights[1:], strict=False)]
    check(case.column("step_norm"), steps, every(case))
    totals = [np.linalg.norm(W - W0) / size for W in case.weights[1:]]
    check(case.column("edit_norm"), totals, every(case))


def test_efficacy_is_a_brute_force_search(case: Case) -> None:
    keys, others = plain(case.stream, "keys"), paraphrases(case.stream)
    starts = [0, *case.stops]
    newest = [range(start, stop) for start, stop in zip(starts, case.stops, strict=False)]
    after = case.weights[1:]
    expected = [efficacy(case, W, batch, keys) for W, batch in zip(after, newest, strict=True)]
    check(case.column("efficacy_batch"), expected, every(case))
    kept = [latest(case.stream, stop) for stop in case.stops]
    check(case.column("in_force"), [len(places) for places in kept], second(case))
    for name, of in (("efficacy", keys), ("generalisation", others)):
        expected = [efficacy(case, W, places, of) for W, places in zip(after, kept, strict=True)]
        check(case.column(name), expected, second(case))
    expected = [efficacy(case, W, batch, others) for W, batch in zip(after, newest, strict=True)]
    check(case.column("generalisation_batch"), expected, second(case))


def test_edits_that_were_replaced_do_not_count(case: Case) -> None:
    """The check has power: with all edits counted efficacy would be another number."""
    keys = plain(case.stream, "keys")
    wrong = efficacy(case, case.weights[-1], range(EDITS), keys)
    assert case.column("in_force")[-1] == FACTS
    assert abs(case.column("efficacy")[-1] - wrong) > 0.01


def test_specificity_is_against_the_layer_before_any_edit(case: Case) -> None:
    keys, W0 = plain(case.stream, "preserved"), case.weights[0]
    values = keys @ W0.T
    shares = [
        float(np.mean([found(W, key, values, place) for place, key in enumerate(keys)]))
        for W in case.weights[1:]
    ]
    check(case.column("specificity"), shares, second(case))
    changes = [
        # torch's median is the lower of the middle two
        np.sort(np.linalg.norm(keys @ (W - W0).T, axis=1) / np.linalg.norm(values, axis=1))[19]
        for W in case.weights[1:]
    ]
    check(case.column("preserved_change"), changes, second(case))


def test_residuals(case: Case) -> None:
    keys = plain(case.stream, "keys")
    wanted = plain(case.stream, "values")[case.stream.targets.numpy()]

    def residual(W: np.ndarray, start: int, stop: int) -> float:
        error = keys[start:stop] @ W.T - wanted[start:stop]
        return float(np.linalg.norm(error) / np.linalg.norm(wanted[start:stop]))

    batches = list(zip(case.weights[1:], [0, *case.stops], case.stops, strict=False))
    check(case.column("residual_batch"), [residual(*batch) for batch in batches], every(case))
    check(case.column("residual"), [residual(W, 0, stop) for W, _, stop in batches], second(case))


def principal(W: np.ndarray, eta: float = 0.5) -> np.ndarray:
    values, vectors = np.linalg.eigh(W.T @ W)
    shares = np.cumsum(values[::-1]) / values.sum()
    return vectors[:, ::-1][:, : int(np.argmax(shares >= eta)) + 1]


def test_the_spectrum(case: Case) -> None:
    W0, after, due = case.weights[0], case.weights[1:], second(case)
    A, sigma0, B = np.linalg.svd(W0, full_matrices=False)
    sigmas = [np.linalg.svd(W, compute_uv=False) for W in after]
    check(case.column("sigma_max"), [sigma[0] for sigma in sigmas], due)
    check(case.column("condition"), [sigma[0] / sigma[-1] for sigma in sigmas], due, 1e-7)
    drift = [np.linalg.norm(sigma - sigma0) / np.linalg.norm(sigma0) for sigma in sigmas]
    check(case.column("singular_drift"), drift, due)
    U = principal(W0)
    rank = U.shape[1]
    assert 1 < rank < len(sigma0)
    R = [
        [math.sqrt(len(W0)) * abs(A[:, k] @ (W - W0) @ B[k]) / sigma0[k] for k in range(rank)] for W in after
    ]
    check(case.column("R_max"), [max(values) for values in R], due, 1e-8)
    check(case.column("R_mean"), [float(np.mean(values)) for values in R], due, 1e-8)
    shares = [np.linalg.norm((W - W0) @ U) ** 2 / np.linalg.norm(W - W0) ** 2 for W in after]
    check(case.column("principal_share"), shares, due)
    check(case.column("principal_rank"), [principal(W).shape[1] for W in after], due)
    turned = [subspace_angles(principal(W)[:, :rank], U) for W in after]
    check(case.column("principal_overlap"), [float((np.cos(a) ** 2).sum()) / rank for a in turned], due)
    check(case.column("principal_angle"), [float(a.max()) for a in turned], due)


def test_sphere_keeps_the_principal_share_small(tmp_path: Path) -> None:
    whole = Case("memit-seq", tmp_path / "a", torch.float64, ALL)
    sphere = Case("sphere", tmp_path / "b", torch.float64, ALL)
    assert sphere.column("principal_share")[-1] < 0.2 * whole.column("principal_share")[-1]


def test_the_path_bound_is_a_sum_over_steps_of_any_size(case: Case) -> None:
    updates = [case.store.files(case.run.id).load_update(batch) for batch in range(len(case.stops))]
    deltas = [u["dense"] if "dense" in u else LowRankUpdate(u["left"], u["right"]) for u in updates]
    total, expected = 0.0, []
    for W, delta in zip(case.weights, deltas, strict=False):
        dense = delta.dense() if isinstance(delta, LowRankUpdate) else delta
        # Whichever end of the step is higher: there and back are the two ends.
        there, back = bound_constant(torch.from_numpy(W), dense), _other_end(W, dense)
        total += max(there, back) * float(torch.linalg.vector_norm(dense))
        expected.append(total)
    np.testing.assert_allclose(case.column("path_bound"), expected, rtol=1e-6)
    assert (np.abs(case.column("energy_change")) <= case.column("path_bound")).all()


def _other_end(W: np.ndarray, delta: torch.Tensor) -> float:
    """K* with the pulls at the end of lower energy."""
    after = W + delta.numpy()
    end = W if naive.HE(after) > naive.HE(W) else after
    lengths = np.maximum(np.linalg.norm(W, axis=1), np.linalg.norm(after, axis=1))
    return float(np.linalg.norm(naive.pulls(end) / lengths))


def test_audits_of_the_step_and_of_all(case: Case) -> None:
    for batch in np.flatnonzero(second(case)):
        row = case.frame.iloc[batch]
        before, after = case.weights[batch], case.weights[batch + 1]
        for name, audit in (
            ("step", audit_bound(before, after - before)),
            ("total", audit_bound(case.weights[0], after - case.weights[0])),
        ):
            facts = {
                "energy_change": audit.energy_change,
                "first_order_error": audit.first_order_error,
                "smallest_gap": audit.smallest_gap,
                "largest_turn": audit.largest_turn,
            }
            for fact, value in facts.items():
                np.testing.assert_allclose(row[f"{name}_{fact}"], value, rtol=1e-5, atol=1e-8)
            for kind in KINDS:
                assert row[f"{name}_{kind}"] == audit.check(kind).verdict
                tightness = audit.check(kind).tightness
                np.testing.assert_allclose(row[f"{name}_{kind}_tightness"], tightness, rtol=1e-4, atol=1e-12)


def test_without_certificates_there_is_no_path_bound(tmp_path: Path) -> None:
    case = Case("memit-seq", tmp_path, torch.float64, replace(ALL, certificate=False))
    assert np.isnan(case.column("path_bound")).all()


def test_float32_layers_are_measured_to_float32(tmp_path: Path) -> None:
    single = Case("memit-seq", tmp_path / "a", torch.float32, ALL)
    double = Case("memit-seq", tmp_path / "b", torch.float64, ALL)
    for name in ("energy", "edit_norm", "sigma_max", "R_mean", "principal_share", "residual", "path_bound"):
        np.testing.assert_allclose(single.column(name), double.column(name), rtol=2e-4)
    for name in ("efficacy", "specificity"):
        np.testing.assert_allclose(single.column(name), double.column(name), atol=0.04)


# --- parts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (5, 5)])
def test_layers_of_any_shape_have_a_spectrum(shape: tuple[int, int]) -> None:
    from sphere_theory.streams.measures import _singular, _singular_values

    W = torch.from_numpy(np.random.default_rng(0).normal(size=shape))
    left, singular, right = _singular(W)
    torch.testing.assert_close(left * singular @ right.T, W)
    torch.testing.assert_close(singular, torch.linalg.svdvals(W))
    torch.testing.assert_close(_singular_values(W), torch.linalg.svdvals(W))


def test_a_step_of_any_size_has_a_bound_unless_neurons_coincide() -> None:
    W = torch.eye(3, 4, dtype=torch.float64)
    assert 0 < step_bound(W, -1.5 * W) < math.inf
    onto = torch.zeros_like(W)
    onto[0] = W[1] - W[0]
    assert step_bound(W, onto) == math.inf
    small = LowRankUpdate(1e-3 * torch.ones(3, 1), torch.ones(4, 1))
    assert 0 < step_bound(W, small) < math.inf


def test_a_layer_that_was_not_moved() -> None:
    memory, stream = small_host(12)
    evaluator = Evaluator.prepare(MEASURES, stream, memory)
    nothing = LowRankUpdate(torch.zeros(16, 1).double(), torch.zeros(24, 1).double())
    later = replace(memory, edits=6)
    row: dict[str, Any] = evaluator.now_and_then(memory, later, nothing)
    assert row["specificity"] == 1
    assert (row["preserved_change"], row["R_max"]) == (0, 0)
    assert row["singular_drift"] < 1e-14
    assert math.isnan(row["principal_share"])
    assert row["principal_overlap"] == pytest.approx(1)
    assert row["principal_angle"] < 1e-12
    assert row["total_energy_change"] == 0


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "every": (lambda: Measures(every=0), "every: expected an integer ≥ 1, got 0"),
    "candidates": (lambda: Measures(candidates=1), "candidates: expected an integer ≥ 2, got 1"),
    "preserved": (
        lambda: Measures(preserved_candidates=1),
        "preserved_candidates: expected an integer ≥ 2, got 1",
    ),
    "eta": (lambda: Measures(eta=0.0), "eta: expected a number in (0, 1], got 0.0"),
    "seed": (lambda: Measures(seed=-1), f"seed: expected an integer ≥ 0 and ≤ {2**63 - 1}, got -1"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_use(name: str) -> None:
    call, message = BAD[name]
    check_refused(call, RangeError, message)


def test_measures_as_a_record() -> None:
    assert Measures(**ALL.record()) == ALL


@pytest.mark.parametrize(
    ("early", "expected"), [(False, [25, 50, 60]), (True, [1, 2, 5, 10, 20, 25, 50, 60])]
)
def test_early_rows_are_full_up_to_the_first_that_is_anyway(
    early: bool, expected: list[int], tmp_path: Path
) -> None:
    memory, stream = small_host(60)
    measures = Measures(every=25, early=early, audits=False, certificate=False)
    with RunStore(tmp_path) as store:
        run = run_stream(memory, EDITOR, stream, measures, store, batch=1)
        full = run.frame().dropna(subset=["efficacy"])
    assert full["edits"].tolist() == expected
