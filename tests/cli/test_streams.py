"""`sphere-theory edit` and `runs` as a user meets them; sweep is met in tests/streams/test_sweep.py."""

from __future__ import annotations

import io
import math
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from command import EDIT, check_wrong_use, command, edit

from sphere_theory import Step
from sphere_theory.editing.finetune import FineTune
from sphere_theory.hosts.base import Host
from sphere_theory.streams import memory as plan
from sphere_theory.streams import runner
from sphere_theory.streams.store import RunStore


def _onlycommand(store):
    with RunStore(store) as found:
        (info,) = found.runs()
        return info, found.frame(info.id)


def test_edit_prints_a_table_and_a_summary(edited):
    store, ran = edited
    assert ran.returncode == 0, ran.stderr
    info, frame = _onlycommand(store)
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

    monkeypatch.setattr(runner.Evaluator, "prepare", refuse)
    again = edit(store, "--sphere", "0.5", "0.8")
    assert again.returncode == 0, again.stderr
    summary = again.stdout.splitlines()
    assert summary == ran.stdout.splitlines()[-len(summary) :]
    assert len(summary) > 4


def test_runs_lists_and_shows(edited):
    store, _ = edited
    info, frame = _onlycommand(store)
    listed = command("runs", "--store", str(store))
    assert listed.returncode == 0, listed.stderr
    for said in (info.id, "complete", "300 of 300", "24×64", "gaussian"):
        assert said in listed.stdout
    shown = command("runs", "show", info.id[:6], "--store", str(store))
    assert shown.returncode == 0, shown.stderr
    assert f"{frame['efficacy'].iloc[-1]:.3f}" in shown.stdout
    assert f"{info.id}, complete" in shown.stdout
    for wrong in (["show", "zzz"], ["list", "--csv"]):
        refused = command("runs", *wrong, "--store", str(store))
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "expected" in refused.stderr


def test_runs_show_prints_csv_alone_on_stdout(edited):
    store, _ = edited
    info, frame = _onlycommand(store)
    shown = command("runs", "show", info.id, "--csv", "--store", str(store))
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
        ran = edit(tmp_path / "cut")
    assert ran.returncode == 130
    assert "interrupted; the same command, without --fresh, goes on from the last checkpoint" in ran.stderr
    info, frame = _onlycommand(tmp_path / "cut")
    assert (info.status, info.edits, len(frame)) == ("unfinished", 140, 7)
    early = command("runs", "show", info.id, "--store", str(tmp_path / "cut"))
    assert early.returncode == 0, early.stderr
    assert "unfinished, 140 edits" in early.stdout
    assert edit(tmp_path / "cut").returncode == 0
    assert edit(tmp_path / "whole").returncode == 0
    (info, frame), (_, whole) = _onlycommand(tmp_path / "cut"), _onlycommand(tmp_path / "whole")
    assert info.status == "complete"
    measured = [name for name in whole.columns if not name.startswith("seconds")]
    pd.testing.assert_frame_equal(frame[measured], whole[measured], check_exact=True)


def test_a_run_without_a_full_row_is_shown(tmp_path, monkeypatch):
    """Interrupted before the first costly measures."""

    def interrupt(*arguments):
        raise KeyboardInterrupt

    for name in ("prepare", "now_and_then"):
        with monkeypatch.context() as patch:
            patch.setattr(runner.Evaluator, name, interrupt)
            assert edit(tmp_path).returncode == 130
        info, _ = _onlycommand(tmp_path)
        shown = command("runs", "show", info.id, "--store", str(tmp_path))
        assert shown.returncode == 0, shown.stderr
        assert "unfinished" in shown.stdout
        assert command("runs", "show", info.id, "--csv", "--store", str(tmp_path)).returncode == 0


def test_ctrl_c_while_the_host_is_made(tmp_path, monkeypatch):
    def interrupt(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(Host, "make", interrupt)
    assert edit(tmp_path).returncode == 130


def test_a_collapse_is_a_result(tmp_path, monkeypatch):
    def overflow(editor, memory, batch):
        return Step(memory.W * (math.inf if memory.edits >= 100 else 0.0))

    monkeypatch.setattr(FineTune, "solve", overflow)
    for _ in range(2):
        ran = command(
            *EDIT[:2], "--editor", "ft", "--edits", "300", "--batch", "20", "--store", str(tmp_path)
        )
        assert ran.returncode == 0, ran.stderr
        assert "collapsed at edit 100: " in ran.stdout
    info, frame = _onlycommand(tmp_path)
    assert (info.edits, len(frame)) == (100, 5)
    assert "collapsed at edit 100" in command("runs", "--store", str(tmp_path)).stdout


def test_fresh_begins_again(tmp_path):
    assert edit(tmp_path).returncode == 0
    begun, _ = _onlycommand(tmp_path)
    with sqlite3.connect(tmp_path / "runs.sqlite") as database:
        database.execute("UPDATE runs SET created = 'long ago'")
    database.close()
    assert edit(tmp_path, "--fresh").returncode == 0
    info, frame = _onlycommand(tmp_path)
    assert info.id == begun.id
    assert info.created != "long ago"
    assert len(frame) == 15


def test_edits_that_do_not_fit_into_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "free_memory", lambda device: 1000)
    ran = edit(tmp_path)
    assert ran.returncode == 2
    assert "edits, shape: expected a run within the 0.0 MiB free on cpu" in ran.stderr
    with RunStore(tmp_path) as store:
        assert store.runs() == []


def test_a_matrix_of_ones_own_can_be_edited(model, tmp_path):
    ran = command(
        *("edit", model, "--tensor", "layer.0.up.weight", "--editor", "ft", "--edits", "6"),
        *("--keep-updates", "--dtype", "float32", "--store", str(tmp_path)),
    )
    assert ran.returncode == 0, ran.stderr
    info, frame = _onlycommand(tmp_path)
    assert (info.config["shape"], info.config["batch"], len(frame)) == ([12, 8], 100, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["edit", "synthetic"], "--editor"),
        (["edit", "synthetic", "--editor", "mend"], "name: expected one of rome, memit"),
        ([*EDIT, "--edits", "0"], "--edits"),
        ([*EDIT, "--set", "ridge"], "set: expected name=value, got 'ridge'"),
        ([*EDIT, "--sphere", "0", "0.5"], "eta: expected a number in (0, 1], got 0.0"),
        ([*EDIT, "--compensate"], "compensate: expected SPHERE to compensate"),
        ([*EDIT, "--source", "recorded"], "source: expected one of 'gaussian', 'orthonormal', 'clustered'"),
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
        (["runs", "drop"], "runs: expected one of 'list', 'show', got 'drop'"),
        (["runs", "show"], "id: expected the name of a run, as `sphere-theory runs` lists it, got nothing"),
    ],
)
def test_wrong_use(
    arguments: list[str], message: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_wrong_use([argument.replace("MODEL", model) for argument in arguments], message)
