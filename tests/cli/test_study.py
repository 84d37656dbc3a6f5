"""`sphere-theory study`, `findings`, `forecast` and `figures` as a user meets them."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import check_wrong_use, command
from logged_experiments import Told, ToldAlone
from run_factory import made_run, made_study
from workers import Workers

from sphere_theory.streams.grid import expand
from sphere_theory.streams.store import RunStore
from sphere_theory.study import Plan, Stage, StudyResult
from sphere_theory.study.drawing import figures
from sphere_theory.study.findings import findings
from sphere_theory.study.question import questions

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
    def interrupted(plan: Plan, stage: Stage) -> list[StudyResult]:
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
    some = questions()[1:3]
    monkeypatch.setattr("sphere_theory.study.findings.questions", lambda: some)
    with RunStore(folder / "runs") as store:
        made_study(store)
        expected = findings(store)
    out = folder / "new" / "findings.md"
    ran = command("findings", "--store", str(folder / "runs"), "--out", str(out))
    assert (ran.returncode, ran.stdout) == (0, f"wrote {out}\n"), ran.stderr
    assert out.read_text() == expected
    assert {path.name for path in out.parent.iterdir()} == {"findings.md", "findings.json"}


def test_findings_of_a_store_without_runs(folder: Path) -> None:
    RunStore(folder).close()
    ran = command("findings", "--store", str(folder), "--out", str(folder / "findings.md"))
    assert ran.returncode == 2
    assert "store: expected runs with all measures" in ran.stderr
    assert not (folder / "findings.md").exists()


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studied")
    with RunStore(folder) as store:
        return folder, made_study(store)


def test_forecast_shows_every_model_and_what_became_of_thecommand(studied):
    store, names = studied
    ran = command("forecast", names[0], "--store", str(store))
    assert ran.returncode == 0, ran.stderr
    for model in ("count only", "norm only", "|ΔHE|", "rank left"):
        assert f"│ {model} " in ran.stdout
    assert "off by, editor left out" in ran.stdout
    assert "off by, seed left out" in ran.stdout
    assert (
        f"Run {names[0]} (memit-seq, seed 0), seen up to edit 100; level 0.5: it fell below it in"
        in ran.stdout
    )
    assert "Fitted on 17 other runs of 3 editors and 3 seeds, 17 of them" in ran.stdout


def test_forecast_at_another_level(studied):
    store, names = studied
    ran = command("forecast", names[4], "--store", str(store), "--level", "0.01")
    assert ran.returncode == 2
    assert "runs: expected at least 4 other runs of the same host, batch and length" in ran.stderr
    assert "got 17, of them 2 collapsed" in ran.stderr


def test_forecast_of_a_run_that_has_not_come_to_the_window(tmp_path):
    with RunStore(tmp_path) as store:
        made_study(store)
        name = made_run(store, seed=9, every=4)
    ran = command("forecast", name, "--store", str(tmp_path))
    assert ran.returncode == 2
    assert f"window: expected a share of the stream that {name} has measured, got 0.1" in ran.stderr
    assert command("forecast", name, "--store", str(tmp_path), "--window", "0.3").returncode == 0


def test_figures_draws_what_there_is_and_says_what_is_missing(studied, tmp_path):
    store, _ = studied
    ran = command("figures", "--store", str(store), "--out", str(tmp_path), "--quick")
    assert ran.returncode == 0, ran.stderr
    host = "recorded-made-keys-random-order-16x24"
    names = {"streams", "correlation", "warning", "gains", "stress"}
    names |= {"forecast", "edit-size", "projection-cost", "seeds"}
    drawn = {f"{name}-{host}" for name in names}
    for suffix in (".png", ".svg"):
        assert {path.stem for path in tmp_path.glob(f"*{suffix}")} == drawn
    data = [path.stem for path in tmp_path.glob("*.csv")]
    assert all(any(stem.startswith(name) for stem in data) for name in drawn)
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".svg", ".csv"}
    assert f"wrote {tmp_path / 'streams'}-{host}.png" in ran.stdout
    assert "not drawn: ablation, which needs 6 or more pairs of η and α on 3 or more seeds" in ran.stdout
    assert "not drawn: front, which needs" in ran.stdout
    assert "not drawn: keys, which needs the experiment keys of `sphere-theory study`" in ran.stdout


def test_figures_of_a_real_run_that_is_too_short(edited, tmp_path):
    ran = command("figures", "--store", str(edited[0]), "--out", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("not drawn: ") == len(figures())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["forecast", "a", "--store", "nowhere"], "store: expected a folder with runs in it"),
        (["figures", "--store", "nowhere"], "store: expected a folder with runs in it, got 'nowhere'"),
        (["findings", "--store", "nowhere"], "store: expected a folder with runs in it, got 'nowhere'"),
        (["study", "--workers", "0"], "--workers"),
        (["study", "--scheduler", "nowhere", "--workers", "2"], "workers: expected none with --scheduler"),
        (["study", "--store", "MODEL"], "it is not a folder"),
    ],
)
def test_wrong_use(
    arguments: list[str], message: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_wrong_use([argument.replace("MODEL", model) for argument in arguments], message)
