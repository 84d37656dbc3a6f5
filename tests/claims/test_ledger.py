"""What a claim and its evidence are: evidence is reported and timed, and a surprise is told."""

from __future__ import annotations

import math

from sphere_theory.claims import Context, Evidence, Finding, Outcome, Verdict, find_claim, run_evidence
from sphere_theory.claims.ledger import finite


def test_a_verdict_has_a_word():
    assert [verdict.word for verdict in Verdict] == ["proved", "corrected", "refuted", "measured", "open"]


def test_evidence_is_reported_and_timed():
    said: list[str] = []
    piece = Evidence("symbolic", "proof", lambda context: Finding(True, "done", "exact"))
    (result,) = run_evidence(find_claim("O1"), [piece], Context(report=said.append))
    assert said == ["O1: proof"]
    assert result.seconds >= 0
    assert result.record()["outcome"] == "as recorded"


def test_what_was_not_checked_is_neither_as_recorded_nor_a_surprise():
    found = [
        Finding(expected, "x", checked=checked) for expected in (True, False) for checked in (True, False)
    ]
    assert [one.outcome for one in found] == [
        Outcome.RECORDED,
        Outcome.UNCHECKED,
        Outcome.SURPRISE,
        Outcome.UNCHECKED,
    ]


def test_a_record_holds_what_json_has() -> None:
    assert finite({"a": [1.0, math.nan, (math.inf, "x")], "b": {"c": -math.inf, "d": None}}) == {
        "a": [1.0, None, [None, "x"]],
        "b": {"c": None, "d": None},
    }
    piece = Evidence("measurement", "m", lambda context: Finding(True, "s", data={"x": math.nan}))
    (result,) = run_evidence(find_claim("O1"), [piece], Context())
    assert result.record()["data"] == {"x": None}
