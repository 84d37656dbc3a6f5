"""`sphere-theory study` and `findings` as a user meets them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from command import command
from fakes import Told, ToldAlone
from made import made_study
from workers import Workers

from sphere_theory.streams.grid import expand
from sphere_theory.streams.store import RunStore
from sphere_theory.study import Plan, Result, Stage
from sphere_theory.study.findings import SECTIONS, findings

GRID = {
    "model": "synthetic",
    "shape": [16, 24],
    "editors": ["memit-seq"],
    "seeds": [0],
    "edits": 6,
    "batch": 6,
}


@pytest.fixture
def asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A small plan in place of the study's; whether the quick one was asked for."""
    found: list[bool] = []
    log = str(folder / "log")

    def small(*, quick: bool) -> Plan:
        found.append(quick)
        bad = (Told(-1.0, log),) if quick else ()
        return Plan(tuple(expand(GRID)), (Told(1.0, log), *bad, ToldAlone(2.0, log)))

    monkeypatch.setattr("sphere_theory.study.plan", small)
    return found


def test_a_study_says_what_became_of_it(workers: Workers, folder: Path, asked: list[bool]) -> None:
    arguments = ("study", "--store", str(folder / "runs"), "--scheduler", workers.address)
    ran = command(*arguments)
    assert (ran.returncode, ran.stdout) == (
        0,
        "3 runs and experiments: 3 computed, 0 stored before, 0 failed\n",
    ), ran.stderr
    assert f"1 runs and 2 experiments into {folder / 'runs'}" in ran.stderr
    again = command(*arguments, "--quick")
    assert again.returncode == 1
    assert again.stdout == "4 runs and experiments: 0 computed, 3 stored before, 1 failed\n"
    assert "failed: Told(value=-1.0" in again.stderr
    assert "value: expected a number that is not negative, got -1.0" in again.stderr
    assert asked == [False, True]


def test_ctrl_c_says_how_to_go_on(folder: Path, asked: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(plan: Plan, stage: Stage) -> list[Result]:
        raise KeyboardInterrupt

    monkeypatch.setattr("sphere_theory.study.run_study", interrupted)
    ran = command("study", "--store", str(folder / "runs"))
    assert (ran.returncode, ran.stdout) == (130, "")
    assert "interrupted; the same command goes on" in ran.stderr


def test_a_quick_study_has_a_store_of_its_own(
    folder: Path, asked: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sphere_theory.study.run_study", lambda plan, stage: [])
    monkeypatch.chdir(folder)
    for arguments, store in (((), "runs"), (("--quick",), "runs-quick")):
        ran = command("study", *arguments)
        assert ran.returncode == 0
        assert ran.stderr.rstrip().endswith(f"into {store}")
        assert (folder / store / "runs.sqlite").exists()


def test_findings_are_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = tuple(replace(one) for one in SECTIONS[1:3])
    monkeypatch.setattr("sphere_theory.study.findings.SECTIONS", quick)
    with RunStore(folder / "runs") as store:
        made_study(store)
        expected = findings(store)
    out = folder / "new" / "findings.md"
    ran = command("findings", "--store", str(folder / "runs"), "--out", str(out))
    assert (ran.returncode, ran.stdout) == (0, f"wrote {out}\n"), ran.stderr
    assert out.read_text() == expected


def test_findings_of_a_store_without_runs(folder: Path) -> None:
    RunStore(folder).close()
    ran = command("findings", "--store", str(folder), "--out", str(folder / "findings.md"))
    assert ran.returncode == 2
    assert "store: expected runs with all measures" in ran.stderr
    assert not (folder / "findings.md").exists()
