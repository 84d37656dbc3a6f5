"""Each property holds, each of its mutants dies, and a check that told nothing apart would say so."""

from __future__ import annotations

import math

import naive
import numpy as np
import pytest
from hypothesis import strategies as st

from sphere_theory.bound import bound_constant
from sphere_theory.claims.properties import (
    PROPERTIES,
    Mutant,
    Property,
    at_most,
    equality,
    falsify,
    literal,
)
from sphere_theory.claims.properties.examples import Edited, edited
from sphere_theory.energy import energy, energy_gradient
from sphere_theory.motion import as_motion

CLAIMS = [
    f"{group}{number}"
    for group, last in zip("OEBMP", (8, 7, 10, 3, 3), strict=True)
    for number in range(1, last + 1)
]

WRONG = Mutant("n < 0", lambda n: -1.0)
BLIND = Mutant("n ≥ −1", lambda n: 1.0)


def small(margin, *mutants):
    return Property("about n", st.integers(0, 9), margin, mutants)


def test_every_claim_has_a_property():
    assert list(PROPERTIES) == CLAIMS


@pytest.mark.parametrize("claim", CLAIMS)
def test_there_are_three_mutants_at_least_and_no_two_of_one_name(claim):
    names = [mutant.name for mutant in PROPERTIES[claim].mutants]
    assert len(names) >= 3
    assert len(set(names)) == len(names)
    assert PROPERTIES[claim].evidence().mutants == tuple(names)


@pytest.mark.parametrize("first_seed", [0, 1])
@pytest.mark.parametrize("claim", CLAIMS)
def test_a_property_holds_and_its_mutants_do_not(claim, first_seed):
    finding = PROPERTIES[claim].check(60, first_seed)
    assert finding.expected, finding.summary
    assert all(mutant["killed"] for mutant in finding.data["mutants"])
    assert finding.data["worst"] >= 0


def test_a_refuted_property_is_a_surprise():
    finding = small(lambda n: 5 - n, WRONG).check(100, 0)
    assert not finding.expected
    assert finding.summary == "REFUTED by 6"  # the smallest one


def test_a_surviving_mutant_is_a_surprise_and_named():
    finding = small(lambda n: 1.0, WRONG, BLIND).check(20, 0)
    assert not finding.expected
    assert finding.summary.startswith("holds on ")
    assert finding.summary.endswith("but so does its mutant: n ≥ −1")
    killed = {mutant["name"]: mutant["killed"] for mutant in finding.data["mutants"]}
    assert killed == {"n < 0": True, "n ≥ −1": False}


def test_all_surviving_mutants_are_named():
    other = Mutant("n ≥ −2", lambda n: 1.0)
    assert small(lambda n: 1.0, BLIND, other).check(20, 0).summary.endswith("its mutants: n ≥ −1; n ≥ −2")


def test_a_mutant_dies_of_the_first_example_that_refutes_it():
    seen: list[int] = []

    def below(n: int) -> float:
        seen.append(n)
        return 4 - n

    finding = small(lambda n: 1.0, Mutant("n ≤ 4", below)).check(50, 0)
    (record,) = finding.data["mutants"]
    assert record == {"name": "n ≤ 4", "killed": True, "after": len(seen)}
    assert max(seen[:-1], default=0) <= 4 < seen[-1]
    assert finding.summary == f"10 examples; mutants refuted: all 1, the last after {len(seen)}"


def test_a_mutant_that_outlives_the_budget_is_shown_more():
    rare = Property(
        "n is a number", st.integers(0, 200), lambda n: 1.0, (Mutant("n < 180", lambda n: 179 - n),)
    )
    first = [falsify(rare.examples, rare.mutants[0].margin, 4, seed).counterexample for seed in range(4)]
    assert first[0] is None  # or this says nothing
    assert any(found is not None for found in first)
    (record,) = rare.check(4, 0).data["mutants"]
    assert record["killed"]
    assert 4 < record["after"] <= 16


def test_mutants_are_not_asked_about_what_refutes_the_claim():
    seen: list[int] = []
    small(lambda n: 5 - n, Mutant("any", lambda n: seen.append(n) or 1.0)).check(100, 0)
    assert max(seen) <= 5


def test_nan_refutes():
    assert falsify(st.just(0), lambda n: math.nan, 5, 0).counterexample == 0
    assert small(lambda n: 1.0, Mutant("NaN", lambda n: math.nan)).check(5, 0).expected


def test_the_same_seed_finds_the_same(capsys):
    examples, margin = st.integers(0, 10**6), lambda n: 900_000 - n
    assert falsify(examples, margin, 50, 3) == falsify(examples, margin, 50, 3)
    assert PROPERTIES["B5"].check(20, 3) == PROPERTIES["B5"].check(20, 3)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("left", "right", "holds"), [(1, 1 + 1e-13, True), (1, 1.1, False), (0, 0, True)])
def test_equality_is_relative(left, right, holds):
    assert (equality(left, right) >= 0) is holds
    assert equality(1e-3, 2e-3, 1e-2, unit=1.0) > 0


@pytest.mark.parametrize(
    ("left", "right", "holds"), [(1, 2, True), (1, 1, True), (1.01, 1, False), (0, 0, True), (1, 0, False)]
)
def test_at_most_allows_rounding_alone(left, right, holds):
    assert (at_most(left, right) >= 0) is holds


# --- the literal formulas, against fifty digits --------------------------------------------------

EXPONENTS = [0.0, 0.5, 1.0, 2.0, 3.5, 6.0]
CLOSE = {"ordinary": (None, 1e-13), "close": (1e-6, 1e-8), "opposite": (math.pi - 1e-6, 1e-8)}


def neurons(case: str) -> np.ndarray:
    W = naive.structured("gaussian", 5, 4, 3, "float64")
    if CLOSE[case][0] is not None:
        aside = np.cross(W[0], W[1])
        aside *= np.linalg.norm(W[0]) / np.linalg.norm(aside)
        W[-1] = 1e4 * (math.cos(CLOSE[case][0]) * W[0] + math.sin(CLOSE[case][0]) * aside)
    return W


@pytest.mark.parametrize("s", EXPONENTS)
@pytest.mark.parametrize("case", CLOSE)
def test_literal_energies_and_forces(case, s):
    W, tolerance = neurons(case), CLOSE[case][1]
    naive.check_close(literal.energy(W, s), energy(W, s=s), tolerance, 1 + abs(energy(W, s=s)))
    forces = literal.forces(W, s) / literal.norms(W)[:, None]
    slope = energy_gradient(W, s=s)
    naive.check_close(forces, slope, tolerance, np.linalg.norm(slope, axis=1, keepdims=True).max())
    pulls = 2 * literal.factor(s) * literal.row_sums(literal.pull(literal.angles(W), s)) / literal.norms(W)
    naive.check_close(float(np.linalg.norm(pulls)), bound_constant(W, kind="triangle", s=s), tolerance)


@pytest.mark.parametrize("s", EXPONENTS)
def test_literal_potentials_and_their_slopes(s):
    angle, step = np.array([0.3, 1.0, 2.5, 3.1]), 1e-5
    e, h = literal.potential(angle, s), literal.pull(angle, s)
    naive.check_close([literal.potential_at(float(t), s) for t in angle], e, 1e-14)
    slope = (literal.potential(angle + step, s) - literal.potential(angle - step, s)) / (2 * step)
    naive.check_close(slope, -literal.factor(s) * h, 1e-7)
    # q is no less than the second derivative of e, and than its size: what B9's remainder needs of it.
    second = -literal.factor(s) * (literal.pull(angle + step, s) - literal.pull(angle - step, s)) / (2 * step)
    assert np.all(literal.curvature(angle, s) >= np.abs(second))
    assert np.isinf(literal.curvature(np.array([0.0, -1.0]), s)).all()


def test_literal_motions():
    W = neurons("ordinary")
    delta = 0.1 * naive.structured("gaussian", 7, 4, 3, "float64")
    delta[0] = -1.5 * W[0]  # through the origin
    motion = as_motion(W, delta)
    naive.check_close(literal.turns(W, delta), motion.turns.numpy(), 1e-12)
    naive.check_close(literal.reach(W, delta), motion.reaches().numpy(), 1e-12, 1.0)
    tangents = literal.tangents(W, delta)[1:]
    turns = motion.turns.numpy()[1:, None]
    arrived = np.cos(turns) * literal.units(W)[1:] + np.sin(turns) * tangents
    naive.check_close(arrived, literal.units(W + delta)[1:], 1e-13, 1.0)


def test_rounding_is_small_where_neurons_are_apart_and_never_hides_a_percent():
    for case, least in (("ordinary", 1e-13), ("close", 1e-9), ("opposite", 1e-12)):
        W = neurons(case)
        assert least < literal.rounding(6.0, W) < 1e-6
        assert literal.pull_share(6.0, literal.angles(W)) < 1e-6
    on_a_line = np.array([[1.0, 0.0], [-1.0, 0.0]])
    assert literal.pull_share(1.0, literal.angles(on_a_line)) == 1


@pytest.mark.parametrize("kind", ["pair", "uneven", "closing", "meeting", "turn"])
def test_the_rounding_of_an_example_never_hides_a_percent(kind):
    shares: list[float] = []

    def margin(example: Edited) -> float:
        shares.append(example.slack + example.energies.rounding / abs(example.change))
        return 1e-5 - shares[-1]

    assert falsify(edited(kind), margin, 60, 0).counterexample is None
    assert len(shares) == 60
