"""Claims as margins over generated examples, and the wrong versions of them that have to be told apart.

A property is a margin: non-negative where the claim holds. Its mutants are the same claim with an error that
one could make: a lost factor, a maximum for a sum, a hypothesis left out. All of them are asked about the
same examples. The claim has to hold on every one, and each mutant has to fail on one at least: otherwise
the property could not have told the claim from the error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from sphere_theory.claims.ledger import Evidence, Finding

# Rounding allowed to float64 identities of a few operations, relative to the larger side: 1e-16 each,
# magnified by sums over at most 12 × 10 entries, and far from the 1e-2 by which a mutant is wrong.
ROUNDING = 1e-12

# How often a mutant that survives the budget is given as many examples again.
_ROUNDS = 4

Margin = Callable[[Any], float]


@dataclass(frozen=True)
class Mutant:
    """A wrong version of a claim.

    Attributes
    ----------
    name
        What it says instead.
    margin
        Negative where it is refuted, on the examples of its property.
    """

    name: str
    margin: Margin


@dataclass(frozen=True)
class Property:
    """A claim as a margin over generated examples, with the mutants that it is told from.

    Attributes
    ----------
    name
        What holds.
    examples
        Strategy of the examples.
    margin
        Non-negative where it holds; its smallest value is reported.
    mutants
        Wrong versions, each to be refuted by one example at least, of up to four times the budget.
    """

    name: str
    examples: st.SearchStrategy[Any]
    margin: Margin
    mutants: tuple[Mutant, ...]

    def evidence(self) -> Evidence:
        """The property as evidence for a claim."""
        names = tuple(mutant.name for mutant in self.mutants)
        return Evidence(
            "property", self.name, lambda context: self.check(context.examples, context.seed), mutants=names
        )

    def check(self, budget: int, first_seed: int) -> Finding:
        """Run the property and its mutants on the same examples.

        Parameters
        ----------
        budget
            Hypothesis examples.
        first_seed
            Seed of the run.

        Returns
        -------
        Finding
            As expected if the property holds on every example, and no mutant does.
        """
        trials = [_Trial(mutant) for mutant in self.mutants]
        claim = falsify(self.examples, self.margin, budget, first_seed, also=trials)
        if claim.counterexample is None:
            self._pursue(trials, budget, first_seed)
        data = {
            "examples": claim.examples,
            "worst": claim.worst,
            "mutants": [trial.record() for trial in trials],
        }
        expected = claim.counterexample is None and all(trial.killed for trial in trials)
        return Finding(expected, _summary(claim, trials), f"smallest margin {claim.worst:.2g}", data)

    def _pursue(self, trials: list[_Trial], budget: int, first_seed: int) -> None:
        """Show the mutants that are left other examples: a poor draw is no reason to believe them."""
        for again in range(1, _ROUNDS):
            left = [trial for trial in trials if not trial.killed]
            if left:
                falsify(self.examples, lambda example: 0.0, budget, first_seed + again, also=left)


class _Trial:
    """A mutant, asked about one example after the other until it is refuted."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant, self.killed, self.after = mutant, False, 0

    def __call__(self, example: Any) -> None:
        if not self.killed:
            self.after += 1
            self.killed = not self.mutant.margin(example) >= 0  # NaN refutes too

    def record(self) -> dict[str, Any]:
        return {"name": self.mutant.name, "killed": self.killed, "after": self.after}


@dataclass(frozen=True)
class Search:
    """Outcome of a search for a counterexample."""

    examples: int
    worst: float
    counterexample: Any = None


class _Refuted(Exception):  # it is the aim of the search, not an error
    pass


def falsify(
    examples: st.SearchStrategy[Any],
    margin: Margin,
    budget: int,
    first_seed: int,
    *,
    also: Iterable[Callable[[Any], object]] = (),
) -> Search:
    """Search for an example with a negative margin.

    Parameters
    ----------
    examples
        Strategy of the examples.
    margin
        Non-negative where the property holds.
    budget
        How many examples to try.
    first_seed
        Seed of the search.
    also
        What else is shown each example on which it holds.

    Returns
    -------
    Search
        Examples tried, smallest margin, and a shrunken counterexample if there is one.
    """
    count, worst, found, others = 0, math.inf, None, tuple(also)

    @seed(first_seed)
    @settings(
        max_examples=budget,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(examples)
    def search(example: Any) -> None:
        nonlocal count, worst, found
        value = margin(example)
        if found is None:
            count, worst = count + 1, min(worst, value)
        if not value >= 0:  # NaN refutes too
            found = example
            raise _Refuted
        for other in others:
            other(example)

    try:
        search()
    except _Refuted:
        return Search(count, worst, found)
    return Search(count, worst)


def _summary(claim: Search, trials: list[_Trial]) -> str:
    if claim.counterexample is not None:
        return f"REFUTED by {_short(claim.counterexample)}"
    survivors = [trial.mutant.name for trial in trials if not trial.killed]
    if survivors:
        verb = "does its mutant" if len(survivors) == 1 else "do its mutants"
        return f"holds on {claim.examples} examples, but so {verb}: {'; '.join(survivors)}"
    last = max((trial.after for trial in trials), default=0)
    return f"{claim.examples} examples; mutants refuted: all {len(trials)}, the last after {last}"


def _short(example: Any) -> str:
    text = " ".join(str(example).split())
    return text if len(text) <= 120 else text[:117] + "…"


def equality(left: Any, right: Any, tolerance: float = ROUNDING, *, unit: float = 0.0) -> float:
    """Margin of an equality: tolerance minus the largest difference, relative to the larger side.

    Parameters
    ----------
    left, right
        Numbers or arrays.
    tolerance
        Relative difference that rounding may make.
    unit
        Size of what both sides were computed from, where they may cancel to less.

    Returns
    -------
    float
        Positive if equal.
    """
    left, right = np.asarray(left, dtype=float), np.asarray(right, dtype=float)
    scale = max(float(np.abs(left).max()), float(np.abs(right).max()), unit)
    return tolerance - (float(np.abs(left - right).max()) / scale if scale else 0.0)


def at_most(left: float, right: float, tolerance: float = ROUNDING) -> float:
    """Margin of left ≤ right, relative to the right side, with rounding allowed.

    Parameters
    ----------
    left, right
        Non-negative numbers.
    tolerance
        Relative excess that rounding may make.

    Returns
    -------
    float
        Non-negative if the inequality holds.
    """
    return tolerance + (1 - left / right if right else (0.0 if left == 0 else -1.0))
