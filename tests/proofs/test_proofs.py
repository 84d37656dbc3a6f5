"""The symbolic proofs: every step holds, says how far it reaches, and a false one is caught."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from importlib import import_module

import pytest
import sympy as sp

from sphere_theory.proofs import PROOFS, angles, formulas, prove
from sphere_theory.proofs.__main__ import main
from sphere_theory.proofs.b10_edit_free import bound_at
from sphere_theory.proofs.cases import Case, draw_small
from sphere_theory.proofs.exact import (
    angular_bound,
    certifiable,
    change,
    energy,
    first_order,
    frobenius_squared,
    gradient,
    k_cert_squared,
    k_grad_squared,
    k_star_squared,
    k_tri_squared,
    second_order,
)
from sphere_theory.proofs.intervals import IV, Formula, Geometry, crosscheck, root
from sphere_theory.proofs.noncommutative import Algebra, letter, with_transpose
from sphere_theory.proofs.proof import Counterexample, Outcome, Proof, Step, equal, nonnegative, positive


def a_proof(establish: Callable[[], bool]) -> Proof:
    return Proof("T", "title", "theorem", (Step("the step", "0 = 1", "all n", establish),), "conclusion")


def printed(establish: Callable[[], bool]) -> tuple[int, str]:
    text = io.StringIO()
    status = main([], registry={"T": None}, find=lambda _: a_proof(establish), write=text.write)
    return status, text.getvalue()


@pytest.fixture(scope="module")
def outcomes() -> dict[str, list[Outcome]]:
    return {claim: list(prove(claim).run()) for claim in PROOFS}


@pytest.mark.parametrize("claim", PROOFS)
def test_every_step_holds(claim: str, outcomes: dict[str, list[Outcome]]) -> None:
    failed = [(o.step.name, o.reason) for o in outcomes[claim] if not o.holds]
    assert not failed, f"{claim}: expected every step to hold, these do not: {failed}"


@pytest.mark.parametrize("claim", PROOFS)
def test_proofs_say_what_they_show(claim: str) -> None:
    proof = prove(claim)
    assert proof.id == claim
    assert proof.title
    assert proof.theorem
    assert proof.conclusion
    assert proof.steps
    for step in proof.steps:
        assert step.name.strip()
        assert step.statement.strip()
        assert step.scope.strip(), f"{claim}, {step.name}: no scope"


@pytest.mark.parametrize("claim", PROOFS)
def test_counterexamples_are_exact(claim: str) -> None:
    for example in prove(claim).counterexamples:
        assert isinstance(example, Counterexample)
        assert example.W.shape == example.delta.shape
        assert example.X is None or example.X.rows == example.W.cols
        assert example.projected is None or example.projected.shape == example.delta.shape
        matrices = [m for m in (example.W, example.delta, example.X, example.projected) if m is not None]
        numbers = [entry for matrix in matrices for entry in matrix] + [value for _, value in example.values]
        assert not any(number.has(sp.Float) for number in numbers), f"{claim}: a float in {example.refutes}"
        assert example.values


@pytest.mark.parametrize("claim", PROOFS)
def test_counterexample_values_are_those_of_its_matrices(claim: str) -> None:
    for example in prove(claim).counterexamples:
        values = dict(example.values)
        if "ΔHE" in values:
            assert equal(values["ΔHE"], change(example.W, example.delta, example.s))
        if "‖ΔV‖_F²" in values:
            assert equal(values["‖ΔV‖_F²"], frobenius_squared(example.delta * example.X))
        if "ΔHE(ΔW P)" in values:
            assert equal(values["ΔHE(ΔW P)"], change(example.W, example.projected, example.s))
        if "‖ΔW P K0‖_F²" in values:
            assert equal(values["‖ΔW P K0‖_F²"], frobenius_squared(example.projected * example.X))


def test_false_step_is_reported() -> None:
    status, text = printed(lambda: equal(sp.Integer(0), sp.Integer(1)))
    assert status == 1
    assert "✗ sympy does not establish it" in text
    assert "FAILED: T step 1 (the step)" in text
    assert "conclusion" not in text


def test_exception_is_a_failure_with_its_text() -> None:
    status, text = printed(lambda: bool(sp.Symbol("x") > 0))
    assert status == 1
    assert "TypeError: cannot determine truth value of Relational: x > 0" in " ".join(text.split())


def test_true_step_exits_0() -> None:
    status, text = printed(lambda: True)
    assert status == 0
    assert "Every step is established." in text


def test_unknown_name_exits_2_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["O1", "nonsense"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no proof named nonsense" in captured.err
    assert all(claim in captured.err for claim in PROOFS)


def test_named_proofs_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["O2"]) == 0
    out = capsys.readouterr().out
    assert "O2. " in out
    assert "O1. " not in out


def test_all_proofs_are_quick(outcomes: dict[str, list[Outcome]]) -> None:
    assert sum(outcome.seconds for steps in outcomes.values() for outcome in steps) < 90


HONEST: dict[str, Formula] = {
    "B5": formulas.certified,
    "B8 by angles": formulas.angular,
    "B8 by shorter arcs": formulas.shorter_arcs,
    "B8 by lengths": formulas.unconditional,
    "B8 below B5": formulas.below_certified,
    "B9": formulas.enclosure,
    "B9 narrower": formulas.sharp_enclosure,
    "B10": formulas.edit_free,
    "B10 narrower": formulas.narrower_edit_free,
}

UNCONDITIONAL = {"B8 by angles", "B8 by shorter arcs", "B8 by lengths"}  # but for coincident neurons


def larger_turn(geometry: Geometry, pair: tuple[int, int]) -> list[int]:
    """θ − max(δ_i, δ_j) in place of θ − δ_i − δ_j."""
    return [max(pair, key=lambda k: geometry.half_turns[k][0].mid)]


def smaller_end(geometry: Geometry) -> list[dict]:
    upper = formulas.upper_end(geometry)
    return [geometry.before if upper[0] is geometry.after else geometry.after]


# How one would get each of them wrong.
WRONG: dict[str, Formula] = {
    "B5, the larger turn for both": partial(formulas.certified, closing=larger_turn),
    "B5, a distance 1% too large": lambda g: (
        [(left, right / IV.mpf("1.01")) for left, right in formulas.certified(g) or ()] or None
    ),
    "B8, the end with the smaller energy": partial(formulas.unconditional, ends=smaller_end),
    "B8, always the weights before": partial(formulas.unconditional, ends=lambda g: [g.before]),
    "B8, a constant 1% too small": partial(
        formulas.unconditional, length=lambda a, b: IV.mpf("1.01") * formulas.longer(a, b)
    ),
    "B8, the sum of the lengths": partial(formulas.unconditional, length=lambda a, b: root(a) + root(b)),
    "B8, cos² for cos": partial(formulas.unconditional, pull=lambda g, half: g.pull(half) * half[1]),
    "B8, 1 − cos δ for δ": partial(formulas.angular, arc=lambda turn: 1 - IV.cos(turn)),
    "B8, s for 2s": partial(formulas.angular, weight=1),
    "B8, 2s 1% too small": partial(formulas.angular, weight=1.98),
    "B9, the larger turn for both": partial(formulas.enclosure, closing=larger_turn),
    "B9, the angles before": partial(formulas.enclosure, closing=lambda g, pair: ()),
    "B9, δ_i² + δ_j²": partial(formulas.enclosure, spread=lambda a, b: a**2 + b**2),
    "B9, ¼ for ½": partial(formulas.enclosure, spread=lambda a, b: (a + b) ** 2 / 2),
    "B9, ½ 1% too small": partial(formulas.enclosure, spread=lambda a, b: IV.mpf("0.99") * (a + b) ** 2),
    "B9, q without its 1": partial(formulas.enclosure, bend=lambda g, half: g.bend(half, 0)),
    "B9, q without its square": partial(formulas.enclosure, bend=lambda g, half: g.bend(half, 1, 0)),
    "B9 narrower, q₊ 1% too small": partial(
        formulas.enclosure, bend=lambda g, half: IV.mpf("0.99") * g.bend(half, 1, g.s)
    ),
    "B10, first order only": partial(formulas.edit_free, second=0),
    "B10, 1 for 2": partial(formulas.edit_free, second=1),
    "B10, the angles before": partial(formulas.edit_free, reach=lambda a, b: IV.mpf(0)),
    "B10, the shorter length for both": partial(
        formulas.edit_free, reach=lambda a, b: root(max(1 / a, 1 / b))
    ),
    "B10, κ = 1": partial(formulas.edit_free, arcsine=lambda x, cosine: x),
    "B10, the best row for the worst": partial(
        formulas.edit_free, worst=lambda rows: min(rows, key=lambda row: row.mid)
    ),
    "B10, q without its 1": partial(formulas.edit_free, bend=lambda g, half: g.bend(half, 0)),
}


@pytest.mark.parametrize("name", HONEST)
def test_interval_crosscheck_finds_no_violation(name: str) -> None:
    tally = crosscheck(HONEST[name], 500, seed=1)
    assert (tally.violated, tally.undecided) == (0, 0)
    assert tally.holds + tally.not_applicable == 500
    assert tally.holds > (480 if name in UNCONDITIONAL else 200)


@pytest.mark.parametrize("name", WRONG)
def test_interval_crosscheck_refutes_what_is_wrong(name: str) -> None:
    tally = crosscheck(WRONG[name], 600)
    assert tally.violated > 0, f"{name}: {tally}"


def test_certificate_holds_on_moderate_cases() -> None:
    tally = crosscheck(formulas.certified, 1000, seed=1, draw=draw_small)
    assert (tally.violated, tally.undecided) == (0, 0)
    assert tally.holds > 500
    assert tally.not_applicable > 50


def test_interval_crosscheck_is_reproducible() -> None:
    first, second = (crosscheck(formulas.certified, 50, seed=7) for _ in range(2))
    assert first == second
    assert first != crosscheck(formulas.certified, 50, seed=8)


def test_an_overlap_is_undecided_and_nothing_to_compare_is_not_applicable() -> None:
    wide = IV.mpf([0, 2])
    assert crosscheck(lambda g: [(wide, IV.mpf(1))], 20).undecided > 10
    assert crosscheck(lambda g: None, 20).not_applicable == 20


def test_intervals_contain_the_exact_values() -> None:
    W, delta = sp.Matrix([[5, 0], [3, 4]]), sp.Matrix([[-1, 1], [0, 1]])
    rows = [[tuple(map(Fraction, map(int, row))) for row in matrix.tolist()] for matrix in (W, delta)]
    for s in (0, 1, 2):
        g = Geometry(Case(*rows, s))
        pairs = (
            (g.change, change(W, delta, s)),
            (g.first_order, first_order(W, delta, s)),
            (g.gradient_norm, sp.sqrt(k_grad_squared(W, s))),
            (formulas.enclosure(g)[0][1], second_order(W, delta, s)),
            (formulas.certified(g)[0][1], sp.sqrt(k_cert_squared(W, delta, s) * frobenius_squared(delta))),
            (
                formulas.unconditional(g)[0][1],
                sp.sqrt(k_star_squared(W, delta, s) * frobenius_squared(delta)),
            ),
            (formulas.angular(g)[0][1], angular_bound(W, delta, s, end=W + delta)),
            (formulas.edit_free(g)[0][1], bound_at(W, sp.sqrt(frobenius_squared(delta)), s)),
        )
        for interval, exact in pairs:
            known = IV.mpf(str(exact.evalf(60)))
            assert interval.a <= known.b, (s, exact)
            assert known.a <= interval.b, (s, exact)
            assert interval.delta < 1e-40, (s, exact)


WRONG_PIECES = (
    (
        "B1",
        "Both sides, from the definitions",
        "k_grad_squared",
        lambda W, s=1: W[0, 0] * k_grad_squared(W, s),
    ),
    ("B1", "The squared reading is scale-free", "change", lambda W, D: W[0, 0] * change(W, D)),
    ("B2", "AlphaEdit's edit", "DELTA", sp.Matrix([[0, 0], [0, -7]])),
    ("B2", "Not needed", "INPUT", sp.Matrix([0, 0])),
    ("B3", "Void at the simplex", "k_grad_squared", k_tri_squared),
    ("B3", "Not at every ε", "change", lambda W, D: 10 * change(W, D)),
    ("B4", "As it stands in the gradient", "pull", lambda D, s: D ** (-s) * sp.sqrt(1 - D**2 / 4)),
    ("B5", "A pair's pull as a function of the angle", "pull", angles.bend),
    ("B5", "Row of the gradient", "gradient", lambda W, s: 2 * gradient(W, s)),
    ("B5", "Both turns count", "APPROACH", sp.Matrix([[0, 0], [0, 0]])),
    ("B6", "On a path", "k_star_squared", lambda W, D, s=1: k_star_squared(W, D, s) / 100),
    ("B7", "A finite average that is exact", "k_grad_squared", k_tri_squared),
    ("B8", "and is convex", "steepness", lambda k: angles.steepness(k) * angles.COSINE),
    ("B8", "The pull falls at least exponentially", "pull", lambda k: angles.CHORD ** (-k - 1)),
    ("B8", "Through another neuron", "k_star_squared", lambda W, D, **_: k_star_squared(W, D, end=W)),
    ("B8", "The best factor", "k_star_squared", lambda W, D, end: 2 * k_star_squared(W, D, end=end)),
    ("B9", "Second derivative of a pair's energy", "bend", lambda k: angles.bend(k + 1)),
    ("B9", "A certified sign", "first_order", lambda W, D: 2 * first_order(W, D)),
    ("B9", "Both turns count", "second_order", lambda W, D, s: second_order(W, D, s) / 1000),
    ("B10", "The first term is best", "k_grad_squared", lambda W, s=1: 2 * k_grad_squared(W, s)),
    ("B10", "Exact example", "bend", lambda k: 100 * angles.bend(k)),
    ("E7", "Exact family", "frobenius_squared", lambda A: 2 * frobenius_squared(A)),
    ("M1", "Without past keys it fails", "_sequence", lambda *batches, remember=True: sp.Matrix([[1]])),
    ("O5", "Two spectra", "norm", lambda row: sp.Integer(1)),
)


@pytest.mark.parametrize(("claim", "name", "attribute", "wrong"), WRONG_PIECES)
def test_a_step_fails_where_its_mathematics_is_wrong(
    claim: str, name: str, attribute: str, wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    (step,) = (step for step in prove(claim).steps if step.name == name)
    monkeypatch.setattr(import_module(f"sphere_theory.proofs.{PROOFS[claim]}"), attribute, wrong)
    assert not step.run().holds


def test_certificate_refuses_what_it_cannot_certify() -> None:
    W = sp.Matrix([[5, 0], [3, 4]])
    assert not certifiable(W, sp.Matrix([[0, 0], [0, -8]]))  # passes through the other neuron
    assert not certifiable(W, sp.Matrix([[-10, 0], [0, 0]]))  # passes through the origin
    assert certifiable(W, sp.zeros(2))


def test_exact_gradient_is_the_slope_of_the_exact_energy() -> None:
    t = sp.Symbol("t", real=True)
    W = sp.Matrix([[1, 2, 2], [2, 3, 6]])
    H = sp.Matrix([[1, 0, -1], [2, 1, 0]])
    for s in (0, 1, 3):
        slope = sp.diff(energy(W + t * H, s), t).subs(t, 0)
        assert equal(slope, sum(g * h for g, h in zip(gradient(W, s), H, strict=True)))


def test_importing_the_registry_leaves_sympy_out() -> None:
    code = "import sys, proofs; sys.exit('sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("claim", PROOFS)
def test_modules_are_named_after_their_claim(claim: str) -> None:
    assert PROOFS[claim].startswith(f"{claim.lower()}_")


def test_help_lists_the_proofs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "O1 O2" in capsys.readouterr().out


def test_helpers_do_not_accept_what_is_false() -> None:
    x, y = sp.symbols("x y", real=True)
    assert not equal(x, y)
    assert not equal(sp.Matrix([x, y]), sp.Matrix([x, x]))
    assert not positive(x)
    assert not positive(x**2)
    assert nonnegative(x**2)
    assert not nonnegative(x * y)


def test_words_do_not_commute() -> None:
    U, Ut = with_transpose("U")
    A = letter("A")
    algebra = Algebra(rules=(((Ut, U), sp.Integer(1)),))
    assert not algebra.equal(U * Ut, sp.Integer(1))
    assert not algebra.equal(A * U, U * A)
    assert algebra.equal((U * Ut) ** 3, U * Ut)
    assert algebra.equal(algebra.transpose(algebra.transpose(A * U)), A * U)
