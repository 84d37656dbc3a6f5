"""What a proof is here: named steps, each of which sympy establishes exactly when it is run.

A step states its (in)equality for a person, says for which sizes it is shown, and carries the code
that establishes it. Nothing is compared in floating point: an identity is a difference that simplifies
to zero, an inequality is a sign that follows from the assumptions of the symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter

import sympy as sp


@dataclass(frozen=True)
class Outcome:
    """What running one step gave.

    Parameters
    ----------
    step
        The step that was run.
    holds
        Whether it was established.
    reason
        Why not, in words; empty when it holds.
    seconds
        Wall-clock time it took.
    """

    step: Step
    holds: bool
    reason: str
    seconds: float


@dataclass(frozen=True)
class Step:
    """One named equality or inequality.

    Parameters
    ----------
    name
        What the step does, in a few words.
    statement
        The (in)equality, readable as mathematics.
    scope
        For which sizes and parameters it is shown, e.g. "all n, d" or "n = 3, d = 2".
    establish
        Returns True when the statement is established; anything else, or an exception, is a failure.
    """

    name: str
    statement: str
    scope: str
    establish: Callable[[], bool]

    def run(self) -> Outcome:
        """Establish the step; an exception is a failure that keeps its text."""
        start = perf_counter()
        try:
            holds = bool(self.establish())  # an undecided relation of sympy's raises here
            reason = "" if holds else "sympy does not establish it"
        except Exception as error:
            holds, reason = False, f"{type(error).__name__}: {error}"
        return Outcome(self, holds, reason, perf_counter() - start)


@dataclass(frozen=True)
class Counterexample:
    """Exact matrices that refute a statement.

    Parameters
    ----------
    refutes
        The statement that fails on them.
    W, delta
        Weights and edit, both (n, d), of rational or algebraic numbers.
    X
        Inputs (d, m), when the statement speaks of outputs.
    s
        Exponent of the energy.
    values
        Named exact quantities that show the failure, e.g. ("ΔHE", -5/12).
    projected
        ΔW·P, when the statement compares it with ΔW.
    """

    refutes: str
    W: sp.ImmutableMatrix
    delta: sp.ImmutableMatrix
    X: sp.ImmutableMatrix | None = None
    s: int = 1
    values: tuple[tuple[str, sp.Expr], ...] = ()
    projected: sp.ImmutableMatrix | None = None


@dataclass(frozen=True)
class Proof:
    """A theorem and the steps that lead to it.

    Parameters
    ----------
    id
        Name of the claim in the ledger, e.g. "O2".
    title
        What it is about.
    theorem
        What is proved, hypotheses included.
    steps
        In the order in which they are read.
    conclusion
        How the steps give the theorem, and what had to be corrected in the claim.
    counterexamples
        Exact data of the refutations among the steps.
    """

    id: str
    title: str
    theorem: str
    steps: tuple[Step, ...]
    conclusion: str
    counterexamples: tuple[Counterexample, ...] = ()

    def run(self) -> Iterator[Outcome]:
        """Run the steps one by one, so that progress can be shown."""
        return (step.run() for step in self.steps)

    def holds(self) -> bool:
        """Whether every step is established."""
        return all(outcome.holds for outcome in self.run())


def equal(left: sp.Expr, right: sp.Expr) -> bool:
    """Whether two expressions, or two matrices, differ by something that simplifies to zero."""
    difference = left - right
    if isinstance(difference, sp.MatrixBase):
        return all(sp.simplify(entry) == 0 for entry in difference)
    return sp.simplify(difference) == 0


def positive(expr: sp.Expr) -> bool:
    """Whether `expr` > 0 follows from the assumptions of its symbols."""
    return any(form(expr).is_positive for form in (sp.sympify, sp.factor, sp.simplify, sp.expand))


def nonnegative(expr: sp.Expr) -> bool:
    """Whether `expr` ≥ 0 follows from the assumptions of its symbols."""
    return any(form(expr).is_nonnegative for form in (sp.sympify, sp.factor, sp.simplify, sp.expand))
