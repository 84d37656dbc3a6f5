"""`sphere-theory attack` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from command import check_wrong_use, command

from sphere_theory.experiments import extremes
from sphere_theory.experiments.extremes import CLAIMS, attack_bounds


def test_it_prints_what_became_of_every_claim(tmp_path: Path) -> None:
    ran = command("attack", "--cases", "30", "--seed", "2", "--out", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert "30 adversarial cases, seed 2" in ran.stdout
    assert all(words in ran.stdout for words in CLAIMS.values())
    assert "None of them is violated in any case." in ran.stdout
    assert (tmp_path / "attack-2.jsonl").exists()


def test_it_prints_json_alone_on_stdout(tmp_path: Path) -> None:
    ran = command("attack", "--cases", "30", "--json", "--out", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    found = pd.DataFrame(json.loads(ran.stdout))
    pd.testing.assert_frame_equal(found, attack_bounds(30, seed=0), check_dtype=False)


def test_a_bound_that_is_violated_is_named_and_the_exit_code_is_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = extremes.end_bounds
    monkeypatch.setattr(extremes, "end_bounds", lambda *a: tuple(1e-3 * x for x in honest(*a)))
    ran = command("attack", "--cases", "100", "--out", str(tmp_path))
    assert ran.returncode == 1
    assert "VIOLATED" in ran.stdout
    assert "None of them is violated" not in ran.stdout


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(extremes, "attack_bounds", interrupt)
    ran = command("attack", "--out", str(tmp_path))
    assert (ran.returncode, ran.stdout) == (130, "")
    assert "interrupted; the same command goes on from there" in ran.stderr


@pytest.mark.parametrize("arguments", [["--cases", "0"], ["--seed", "-1"]])
def test_wrong_use(arguments: list[str]) -> None:
    check_wrong_use(["attack", *arguments], arguments[0])
