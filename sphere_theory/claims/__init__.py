"""The claims ledger: statement, source, hypotheses, evidence, verdict."""

from sphere_theory.claims.catalog import find_claim, ledger
from sphere_theory.claims.context import Context
from sphere_theory.claims.ledger import Claim, Evidence, Finding, Outcome, Result, Verdict, run_evidence

__all__ = [
    "Claim",
    "Context",
    "Evidence",
    "Finding",
    "Outcome",
    "Result",
    "Verdict",
    "find_claim",
    "ledger",
    "run_evidence",
]
