"""What a claim is, what evidence is, and how evidence is run against what the ledger says."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphere_theory.claims.context import Context


class Verdict(StrEnum):
    """What the ledger says of a statement of the paper or of our own."""

    PROVED = "proved"
    CORRECTED = "proved under a stronger hypothesis"
    REFUTED = "refuted"
    MEASURED = "measured"
    OPEN = "open"

    @property
    def word(self) -> str:
        """The verdict in one word."""
        return "corrected" if self is Verdict.CORRECTED else str(self)


class Outcome(StrEnum):
    """What a run of evidence means for the verdict that the ledger records."""

    RECORDED = "as recorded"
    SURPRISE = "surprise"
    UNCHECKED = "not checked here"


@dataclass(frozen=True)
class Finding:
    """What one piece of evidence came to.

    Attributes
    ----------
    expected
        Whether it is what the ledger's verdict says it should be.
    summary
        One line for the table.
    margin
        How far from the opposite, in one line: a number with its unit, or "exact".
    data
        Numbers behind it, JSON-ready; figures are drawn from these.
    checked
        Whether anything was run: what could not be, for want of a program, neither supports the verdict nor
        speaks against it.
    """

    expected: bool
    summary: str
    margin: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    checked: bool = True

    @property
    def outcome(self) -> Outcome:
        """As recorded, a surprise, or not checked here."""
        if not self.checked:
            return Outcome.UNCHECKED
        return Outcome.RECORDED if self.expected else Outcome.SURPRISE


@dataclass(frozen=True)
class Evidence:
    """Something that can be run to support a verdict.

    Attributes
    ----------
    kind
        "symbolic", "kernel", "property" or "measurement".
    name
        What is run.
    run
        Runs it.
    mutants
        Names of the wrong versions that this evidence kills: what it would tell from the claim.
    """

    kind: str
    name: str
    run: Callable[[Context], Finding]
    mutants: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """One statement, and everything that is known about it.

    Attributes
    ----------
    id
        Name, e.g. "B5".
    statement
        In plain words.
    latex
        In symbols.
    source
        Paper, section, equation.
    hypotheses
        What has to be true for it.
    verdict
        What the evidence says, as recorded.
    evidence
        What is run to check that it still says so.
    corrected
        The statement that is true instead, where the verdict is "refuted" or asks for more.
    see
        Claims whose proofs and counterexamples bear on this one.
    plain
        The verdict in one sentence of plain words.
    """

    id: str
    statement: str
    latex: str
    source: str
    hypotheses: str
    verdict: Verdict
    evidence: tuple[Evidence, ...]
    corrected: str = ""
    see: tuple[str, ...] = ()
    plain: str = ""


@dataclass(frozen=True)
class Result:
    """One piece of evidence, run.

    Attributes
    ----------
    claim, evidence
        What was run, and for which claim.
    finding
        What came of it.
    seconds
        How long it took.
    """

    claim: Claim
    evidence: Evidence
    finding: Finding
    seconds: float

    def record(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return finite({
            "claim": self.claim.id,
            "statement": self.claim.statement,
            "verdict": str(self.claim.verdict),
            "kind": self.evidence.kind,
            "evidence": self.evidence.name,
            "outcome": str(self.finding.outcome),
            "summary": self.finding.summary,
            "margin": self.finding.margin,
            "seconds": round(self.seconds, 3),
            "data": self.finding.data,
        })


def finite(value: Any) -> Any:
    """A copy in which NaN and infinity are None, since JSON has neither.

    Parameters
    ----------
    value
        Plain values, nested.

    Returns
    -------
    Any
        The same shape.
    """
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def run_evidence(claim: Claim, evidence: Sequence[Evidence], context: Context) -> Iterator[Result]:
    """Run some of a claim's evidence, in order.

    Parameters
    ----------
    claim
        The claim.
    evidence
        Which of its evidence.
    context
        Seed, budget, device, layers, progress.

    Yields
    ------
    Result
        One for each piece of evidence, as it is finished.
    """
    for piece in evidence:
        context.report(f"{claim.id}: {piece.name}")
        start = perf_counter()
        finding = piece.run(context)
        yield Result(claim, piece, finding, perf_counter() - start)
