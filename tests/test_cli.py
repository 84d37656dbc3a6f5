"""The command line as a user meets it: what is printed where, and the exit code."""

from __future__ import annotations

import csv
import io
import json
import math
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
import torch
from command import command as _run
from made import made_run, made_study
from safetensors.torch import save_file

from sphere_theory import energy, min_separation, uniform_energy
from sphere_theory import verify as job
from sphere_theory.claims import Context, Evidence, Finding, find_claim, run_evidence
from sphere_theory.editing.finetune import FineTune
from sphere_theory.editing.problem import Step
from sphere_theory.errors import ModelError
from sphere_theory.figures.from_store import EXPERIMENTS, FIGURES
from sphere_theory.streams import job as stream_job
from sphere_theory.streams import plan, runner
from sphere_theory.streams.store import RunStore

# The start of a command line that would be right as it stands.
EDIT = ["edit", "synthetic", "--editor", "memit-seq", "--shape", "24", "64"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "layer.0.up.weight": torch.randn(12, 8, generator=generator),
        "layer.0.down.weight": torch.randn(8, 12, generator=generator).to(torch.bfloat16),
        "layer.0.bias": torch.zeros(8),
        "dead.weight": torch.zeros(4, 3),
    }
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_file(tensors, path)
    return path, tensors


def test_energy_prints_json_alone_on_stdout(model):
    path, tensors = model
    ran = _run("energy", str(path), "--match", "layer.*", "--json")
    assert ran.returncode == 0, ran.stderr
    rows = {row["tensor"]: row for row in json.loads(ran.stdout)}
    assert set(rows) == {"layer.0.up.weight", "layer.0.down.weight"}
    up = tensors["layer.0.up.weight"]
    row = rows["layer.0.up.weight"]
    assert row["uniformity"] == pytest.approx(energy(up) / uniform_energy(12, 8), rel=1e-12)
    distance, pair = min_separation(up)
    assert (row["separation"], tuple(row["pair"])) == (pytest.approx(distance), pair)
    assert row["norm_high"] == pytest.approx(float(up.norm(dim=1).max()))


def test_energy_prints_csv_alone_on_stdout(model):
    ran = _run("energy", str(model[0]), "--csv")
    assert ran.returncode == 0, ran.stderr
    rows = {row["tensor"]: row for row in csv.DictReader(io.StringIO(ran.stdout))}
    assert len(rows) == 3
    assert rows["dead.weight"]["note"].endswith("got 4 zero rows (first at row 0)")


def test_energy_prints_a_table_with_a_note_where_there_is_no_number(model):
    ran = _run("energy", str(model[0]))
    assert ran.returncode == 0, ran.stderr
    assert "layer.0.up.weight" in ran.stdout
    assert "no zero row" in ran.stdout


def test_energy_fails_where_nothing_can_be_measured(model):
    assert _run("energy", str(model[0]), "--match", "dead.*").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["energy", "no/such/model.safetensors"], "model: expected"),
        (["energy", "MODEL", "--match", "nothing*"], "match: expected a pattern that fits a matrix"),
        (["energy", "MODEL", "--s", "-1"], "s: expected a number in [0, ∞), got -1.0"),
        (["energy", "MODEL", "--device", "abacus"], "device: expected a device that torch can use here"),
        (["energy", "MODEL", "--json", "--csv"], "format: expected one of --json and --csv, got both"),
        (["claims", "Z9"], "id: expected one of O1, O2"),
        (["verify", "--seed", "-1"], "--seed"),
        (["verify", "--device", "abacus"], "device: expected a device"),
        (["nonsense"], "No such command"),
        (["edit", "synthetic"], "--editor"),
        (["edit", "synthetic", "--editor", "mend"], "name: expected one of rome, memit"),
        ([*EDIT, "--edits", "0"], "--edits"),
        ([*EDIT, "--set", "ridge"], "set: expected name=value, got 'ridge'"),
        ([*EDIT, "--sphere", "0", "0.5"], "eta: expected a number in (0, 1], got 0.0"),
        ([*EDIT, "--compensate"], "compensate: expected SPHERE to compensate"),
        ([*EDIT, "--source", "recorded"], "source: expected one of gaussian, orthonormal, clustered"),
        (
            [*EDIT, "--order", "best"],
            "order: expected one of 'random', 'clustered', 'similarity', got 'best'",
        ),
        ([*EDIT, "--shape", "1", "9"], "shape: expected at least 2×2, got 1×9"),
        ([*EDIT, "--dtype", "float16"], "dtype: expected one of 'float32', 'float64', got 'float16'"),
        ([*EDIT, "--device", "abacus"], "device: expected a device that torch can use here"),
        (["edit", "minilm", "--editor", "ft", "--data", "no.json"], "data: expected a readable JSON file"),
        (["edit", "MODEL", "--editor", "ft"], "tensor: expected the name of a matrix of"),
        ([*EDIT, "--store", "MODEL"], "it is not a folder"),
        (["runs", "--store", "nowhere"], "store: expected a folder with runs in it, got 'nowhere'"),
        (["forecast", "a", "--store", "nowhere"], "store: expected a folder with runs in it"),
        (["figures", "--store", "nowhere"], "store: expected a folder with runs in it, got 'nowhere'"),
        (["findings", "--store", "nowhere"], "store: expected a folder with runs in it, got 'nowhere'"),
        (["study", "--workers", "0"], "--workers"),
        (["study", "--scheduler", "nowhere", "--workers", "2"], "workers: expected none with --scheduler"),
        (["study", "--store", "MODEL"], "it is not a folder"),
        (["runs", "drop"], "runs: expected one of 'list', 'show', got 'drop'"),
        (["runs", "show"], "id: expected the name of a run, as `sphere-theory runs` lists it, got nothing"),
    ],
)
def test_wrong_use_says_what_was_expected_and_exits_2(model, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = _run(*(argument.replace("MODEL", str(model[0])) for argument in arguments))
    assert ran.returncode == 2, ran.stdout
    assert message in ran.stderr
    assert ran.stdout == ""


def test_claims_lists_the_ledger_and_shows_one_with_its_proof(tmp_path):
    listed = _run("claims")
    assert listed.returncode == 0, listed.stderr
    assert all(name in listed.stdout for name in ("O1", "O7", "E7", "B5", "M3", "P1", "P3"))
    shown = _run("claims", "b1", "--out", str(tmp_path))
    assert shown.returncode == 0, shown.stderr
    assert "refuted" in shown.stdout
    assert "Counterexample" in shown.stdout
    assert "Every step is established." in shown.stdout
    assert "40 examples; mutant" in shown.stdout
    assert "measured now, seed 0, quick budget" in shown.stdout


def _stored(folder: Path, claim: str, *, as_recorded: bool) -> None:
    evidence = Evidence("measurement", "a name", lambda context: Finding(as_recorded, "12 found", "by 3.5"))
    (result,) = run_evidence(find_claim(claim), [evidence], Context())
    job.write_report(job.report([result.record()], Context(seed=7), 1.0), folder)


def test_claims_shows_stored_numbers_and_the_counterexamples_of_what_it_corrects(tmp_path):
    _stored(tmp_path, "B4", as_recorded=True)
    shown = _run("claims", "B4", "--out", str(tmp_path))
    assert shown.returncode == 0, shown.stderr
    assert "12 found" in shown.stdout
    assert "by 3.5" in shown.stdout
    assert "seed 7, full budget" in shown.stdout
    _stored(tmp_path, "P1", as_recorded=True)
    shown = _run("claims", "P1", "--out", str(tmp_path))  # without a proof of its own
    assert shown.returncode == 0, shown.stderr
    assert "see also" in shown.stdout
    assert "Counterexample (E7) to ΔHE = 0 implies a small ΔV" in shown.stdout
    assert "Counterexample (B2)" in shown.stdout


def test_claims_tells_a_stored_surprise(tmp_path):
    _stored(tmp_path, "P1", as_recorded=False)
    shown = _run("claims", "P1", "--out", str(tmp_path))
    assert shown.returncode == 1
    assert "SURPRISE" in shown.stdout


def test_claims_without_the_model_shows_what_needs_none(tmp_path, monkeypatch):
    def missing(*_: object) -> None:
        raise ModelError("model", "the embedded model", "none")

    monkeypatch.setattr("sphere_theory.claims.context.open_checkpoint", missing)
    shown = _run("claims", "E7", "--out", str(tmp_path))
    assert shown.returncode == 0
    assert "40 examples; mutant" in shown.stdout
    assert "not measured: model: expected the embedded model, got none" in shown.stderr


@pytest.mark.parametrize(
    "command", ["verify", "energy", "claims", "edit", "runs", "study", "forecast", "figures", "findings"]
)
def test_help_shows_one_worked_example(command):
    ran = _run(command, "--help")
    assert ran.returncode == 0
    assert f"Example: sphere-theory {command}" in ran.stdout


# --- edit and runs ------------------------------------------------------------------------------------


def _edit(store, *more):
    settings = ["--edits", "300", "--batch", "20", "--set", "ridge=5", "--every", "5", "--store", str(store)]
    return _run(*EDIT, *settings, *more)


@pytest.fixture(scope="module")
def edited(tmp_path_factory):
    store = tmp_path_factory.mktemp("store") / "runs"
    return store, _edit(store, "--sphere", "0.5", "0.8")


def _only_run(store):
    with RunStore(store) as found:
        (info,) = found.runs()
        return info, found.frame(info.id)


def test_edit_prints_a_table_and_a_summary(edited):
    store, ran = edited
    assert ran.returncode == 0, ran.stderr
    info, frame = _only_run(store)
    head, *lines = ran.stdout.splitlines()
    assert head.split()[:4] == ["edits", "newest", "efficacy", "general."]
    for line, (_, row) in zip(lines, frame.dropna(subset="efficacy").iterrows(), strict=False):
        shown = line.split()
        assert shown[0] == f"{row['edits']:.0f}"
        assert shown[2] == f"{row['efficacy']:.3f}"
        assert row["total_unconditional"] in line
    assert frame["edits"].tolist() == list(range(20, 301, 20))
    assert f"{info.id}, complete, 300 edits" in ran.stdout
    assert "ridge=5" in ran.stdout
    assert "eta=0.5" in ran.stdout
    assert "memory at the peak" in ran.stderr
    assert info.config["stream"]["source"] == "gaussian"


def test_the_same_edit_again_computes_nothing(edited, monkeypatch):
    store, ran = edited

    def refuse(*arguments):
        raise AssertionError("computed again")

    monkeypatch.setattr(runner.Gauge, "prepare", refuse)
    again = _edit(store, "--sphere", "0.5", "0.8")
    assert again.returncode == 0, again.stderr
    summary = again.stdout.splitlines()
    assert summary == ran.stdout.splitlines()[-len(summary) :]
    assert len(summary) > 4


def test_runs_lists_and_shows(edited):
    store, _ = edited
    info, frame = _only_run(store)
    listed = _run("runs", "--store", str(store))
    assert listed.returncode == 0, listed.stderr
    for said in (info.id, "complete", "300 of 300", "24×64", "gaussian"):
        assert said in listed.stdout
    shown = _run("runs", "show", info.id[:6], "--store", str(store))
    assert shown.returncode == 0, shown.stderr
    assert f"{frame['efficacy'].iloc[-1]:.3f}" in shown.stdout
    assert f"{info.id}, complete" in shown.stdout
    for wrong in (["show", "zzz"], ["list", "--csv"]):
        refused = _run("runs", *wrong, "--store", str(store))
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "expected" in refused.stderr


def test_runs_show_prints_csv_alone_on_stdout(edited):
    store, _ = edited
    info, frame = _only_run(store)
    shown = _run("runs", "show", info.id, "--csv", "--store", str(store))
    assert shown.returncode == 0, shown.stderr
    found = pd.read_csv(io.StringIO(shown.stdout))
    pd.testing.assert_frame_equal(found, frame, rtol=1e-15, atol=0)
    assert len(shown.stdout.splitlines()) == 1 + len(frame)


def test_an_interrupted_edit_exits_130_and_goes_on(tmp_path, monkeypatch):
    """Ctrl-C in the middle; the rows of before stay, and the end is that of a run without it."""
    found, calls = RunStore.record, 0

    def interrupting(*arguments):
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return found(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(RunStore, "record", interrupting)
        ran = _edit(tmp_path / "cut")
    assert ran.returncode == 130
    assert "interrupted; the same command, without --fresh, goes on from the last checkpoint" in ran.stderr
    info, frame = _only_run(tmp_path / "cut")
    assert (info.status, info.edits, len(frame)) == ("unfinished", 140, 7)
    early = _run("runs", "show", info.id, "--store", str(tmp_path / "cut"))
    assert early.returncode == 0, early.stderr
    assert "unfinished, 140 edits" in early.stdout
    assert _edit(tmp_path / "cut").returncode == 0
    assert _edit(tmp_path / "whole").returncode == 0
    (info, frame), (_, whole) = _only_run(tmp_path / "cut"), _only_run(tmp_path / "whole")
    assert info.status == "complete"
    measured = [name for name in whole.columns if not name.startswith("seconds")]
    pd.testing.assert_frame_equal(frame[measured], whole[measured], check_exact=True)


def test_a_run_without_a_full_row_is_shown(tmp_path, monkeypatch):
    """Interrupted before the first costly measures."""

    def interrupt(*arguments):
        raise KeyboardInterrupt

    for name in ("prepare", "now_and_then"):
        with monkeypatch.context() as patch:
            patch.setattr(runner.Gauge, name, interrupt)
            assert _edit(tmp_path).returncode == 130
        info, _ = _only_run(tmp_path)
        shown = _run("runs", "show", info.id, "--store", str(tmp_path))
        assert shown.returncode == 0, shown.stderr
        assert "unfinished" in shown.stdout
        assert _run("runs", "show", info.id, "--csv", "--store", str(tmp_path)).returncode == 0


def test_ctrl_c_while_the_host_is_made(tmp_path, monkeypatch):
    def interrupt(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(stream_job, "make_host", interrupt)
    assert _edit(tmp_path).returncode == 130


def test_a_collapse_is_a_result(tmp_path, monkeypatch):
    def overflow(editor, memory, batch):
        return Step(memory.W * (math.inf if memory.edits >= 100 else 0.0))

    monkeypatch.setattr(FineTune, "solve", overflow)
    for _ in range(2):
        ran = _run(*EDIT[:2], "--editor", "ft", "--edits", "300", "--batch", "20", "--store", str(tmp_path))
        assert ran.returncode == 0, ran.stderr
        assert "collapsed at edit 100: " in ran.stdout
    info, frame = _only_run(tmp_path)
    assert (info.edits, len(frame)) == (100, 5)
    assert "collapsed at edit 100" in _run("runs", "--store", str(tmp_path)).stdout


def test_fresh_begins_again(tmp_path):
    assert _edit(tmp_path).returncode == 0
    begun, _ = _only_run(tmp_path)
    with sqlite3.connect(tmp_path / "runs.sqlite") as database:
        database.execute("UPDATE runs SET created = 'long ago'")
    database.close()
    assert _edit(tmp_path, "--fresh").returncode == 0
    info, frame = _only_run(tmp_path)
    assert info.id == begun.id
    assert info.created != "long ago"
    assert len(frame) == 15


def test_edits_that_do_not_fit_into_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "free_memory", lambda device: 1000)
    ran = _edit(tmp_path)
    assert ran.returncode == 2
    assert "edits, shape: expected a run within the 0.0 MiB free on cpu" in ran.stderr
    with RunStore(tmp_path) as store:
        assert store.runs() == []


def test_a_matrix_of_ones_own_can_be_edited(model, tmp_path):
    ran = _run(
        *("edit", str(model[0]), "--tensor", "layer.0.up.weight", "--editor", "ft", "--edits", "6"),
        *("--keep-updates", "--dtype", "float32", "--store", str(tmp_path)),
    )
    assert ran.returncode == 0, ran.stderr
    info, frame = _only_run(tmp_path)
    assert (info.config["shape"], info.config["batch"], len(frame)) == ([12, 8], 100, 1)


# --- forecast and figures -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studied")
    with RunStore(folder) as store:
        return folder, made_study(store)


def test_forecast_shows_every_model_and_what_became_of_the_run(studied):
    store, names = studied
    ran = _run("forecast", names[0], "--store", str(store))
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
    ran = _run("forecast", names[4], "--store", str(store), "--level", "0.01")
    assert ran.returncode == 2
    assert "runs: expected at least 4 other runs of the same host, batch and length" in ran.stderr
    assert "got 17, of them 2 collapsed" in ran.stderr


def test_forecast_of_a_run_that_has_not_come_to_the_window(tmp_path):
    with RunStore(tmp_path) as store:
        made_study(store)
        name = made_run(store, seed=9, every=4)
    ran = _run("forecast", name, "--store", str(tmp_path))
    assert ran.returncode == 2
    assert f"window: expected a share of the stream that {name} has measured, got 0.1" in ran.stderr
    assert _run("forecast", name, "--store", str(tmp_path), "--window", "0.3").returncode == 0


def test_figures_draws_what_there_is_and_says_what_is_missing(studied, tmp_path):
    store, _ = studied
    ran = _run("figures", "--store", str(store), "--out", str(tmp_path), "--quick")
    assert ran.returncode == 0, ran.stderr
    host = "recorded-made-keys-random-order-16x24"
    names = {"streams", "correlation", "warning", "gains", "stress"}
    names |= {"forecast", "edit-size", "projection-cost", "seeds"}
    drawn = {f"{name}-{host}" for name in names}
    assert {path.stem for path in tmp_path.iterdir()} == drawn
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".svg"}
    assert f"wrote {tmp_path / 'streams'}-{host}.png" in ran.stdout
    assert "not drawn: ablation, which needs 6 or more pairs of η and α on 3 or more seeds" in ran.stdout
    assert "not drawn: front, which needs" in ran.stdout
    assert "not drawn: keys, which needs the experiment keys of `sphere-theory study`" in ran.stdout


def test_figures_of_a_real_run_that_is_too_short(edited, tmp_path):
    ran = _run("figures", "--store", str(edited[0]), "--out", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("not drawn: ") == len(FIGURES) + len(EXPERIMENTS)
    assert list(tmp_path.iterdir()) == []
