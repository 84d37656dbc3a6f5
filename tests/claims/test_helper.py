"""A second process for evidence: the same records, nothing twice, and no loss where it dies."""

from __future__ import annotations

import json
import os
import signal

import pytest

from sphere_theory import verify as job
from sphere_theory.claims import Context, Evidence, Finding, find_claim
from sphere_theory.claims.helper import Helper, main

SETTINGS = {"seed": 0, "quick": True, "device": "cpu"}
# Proofs that take no time, and what a helper cannot run.
TASKS = [("O2", "proof"), ("O4", "proof"), ("O3", "proof")]


def _without_time(record: dict) -> dict:
    return {key: value for key, value in record.items() if key != "seconds"}


def test_records_of_a_helper_are_those_of_this_process():
    lines: list[str] = []
    main(json.dumps(SETTINGS), [json.dumps(task) + "\n" for task in TASKS], lines.append)
    found = [json.loads(line) for line in lines]
    assert all(line.endswith("}\n") for line in lines)
    pieces = {(id, name): (find_claim(id), find_claim(id).evidence[0]) for id, name in TASKS}
    expected = list(job._one_by_one(pieces, Context(quick=True)))
    assert [*map(_without_time, found)] == json.loads(json.dumps([*map(_without_time, expected)]))


def test_every_task_is_done_once_from_one_end_or_the_other():
    with Helper(TASKS, SETTINGS) as helper:
        mine, theirs = [], []
        while (task := helper.take()) is not None:
            mine.append(task)
            theirs += [(record["claim"], record["evidence"]) for record in helper.finished()]
        theirs += [(record["claim"], record["evidence"]) for record in helper.finished()]
    assert sorted(mine + theirs) == sorted(TASKS)
    assert mine == [task for task in reversed(TASKS) if task in mine]


def test_what_a_dead_helper_had_is_left_to_be_taken():
    with Helper(TASKS, SETTINGS) as helper:
        os.kill(helper._process.pid, signal.SIGKILL)
        taken = []
        while (task := helper.take()) is not None:
            taken.append(task)
        assert sorted(taken) == sorted(TASKS)
        assert list(helper.finished()) == []


def test_what_a_dead_helper_was_not_sent_is_no_error():
    with Helper([], SETTINGS) as helper:
        os.kill(helper._process.pid, signal.SIGKILL)
        helper._process.wait()
        helper._process.stdin.write("in the buffer still\n")
    assert helper._process.stdin.closed
    assert helper._process.stdout.closed


def test_a_helper_is_gone_when_its_block_ends():
    helper = Helper(TASKS, SETTINGS)

    def interrupted() -> None:
        with helper:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert helper._process.poll() is not None
    assert not helper._feeder.is_alive()


def test_side_by_side_finds_what_one_by_one_finds(tmp_path, monkeypatch):
    claims = [find_claim(id) for id in ("O2", "O4")]
    here: list[int] = []
    measurement = Evidence(
        "measurement", "here", lambda context: Finding(True, f"{here.append(os.getpid())}")
    )
    claims = [type(c)(**{**c.__dict__, "evidence": (*c.evidence[:1], measurement)}) for c in claims]
    records = list(job.run_ledger(claims, Context(quick=True), tmp_path, helped=True))
    found = job.in_order(records, claims)
    assert [(record["claim"], record["evidence"]) for record in found] == [
        ("O2", "proof"),
        ("O2", "here"),
        ("O4", "proof"),
        ("O4", "here"),
    ]
    assert here == [os.getpid()] * 2
    assert [record["outcome"] for record in found] == ["as recorded"] * 4
