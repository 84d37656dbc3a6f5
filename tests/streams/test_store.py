"""What is in a store stays there, whatever the disk, other processes and other versions do."""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import signal
import sqlite3
import tempfile
import warnings
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import safetensors.torch
import torch
from naive import check_refused
from small_layer import EDITOR, MEASURES, check_same, rows_of, small_host

from sphere_theory.errors import InputError, RangeError
from sphere_theory.files import InUseError, StoreError
from sphere_theory.streams.database import Database
from sphere_theory.streams.entries import environment, experiment_id
from sphere_theory.streams.runner import Run, run_stream
from sphere_theory.streams.store import RunStore

CONFIG = {"editor": {"name": "memit", "clamp": None}, "stream": {"edits": 3}, "shape": [2, 2]}
ENVIRONMENT = {"source": "0", "threads": 1}


def run_small(store: RunStore, *, edits: int = 48, **settings: object) -> Run:
    memory, stream = small_host(edits)
    return run_stream(
        memory, EDITOR, stream, MEASURES, store, batch=6, **{"checkpoint_seconds": 0.0, **settings}
    )


def stop_at(edits: int):
    def report(row: dict[str, object]) -> None:
        if row["edits"] == edits:
            raise KeyboardInterrupt

    return report


def check_one_line(error: StoreError, *parts: str) -> None:
    text = str(error)
    assert "\n" not in text
    assert all(part in text for part in parts), f"expected {parts} in {text!r}"


# --- rows -------------------------------------------------------------------------------------------


def test_rows_come_back_as_they_were(folder: Path) -> None:
    with RunStore(folder) as store:
        run = store.begin(CONFIG, ENVIRONMENT).id
        first = {"edits": 2, "energy": 1 / 3, "bound": math.inf, "low": -math.inf, "verdict": "holds"}
        store.record(run, 0, first, {"solve": 0.25})
        store.record(run, 1, {"edits": 3, "energy": math.nan}, {"solve": 0.5, "project": 1.0})
        rows = list(store.rows(run))
        assert rows[0] == (0, first, {"solve": 0.25})
        assert math.isnan(rows[1][1]["energy"])
        frame = store.frame(run[:5])
        assert list(frame.columns) == [
            "batch", "edits", "energy", "bound", "low", "verdict", "seconds_solve", "seconds_project",
        ]  # fmt: skip
        assert frame["bound"].tolist()[0] == math.inf
        assert math.isnan(frame["seconds_project"][0])
        store.record(run, 0, first | {"energy": 7.0}, {})
        assert next(store.rows(run))[1]["energy"] == 7.0
        assert len(store.frame(run)) == 2
        assert store.run(run).edits == 3


def test_runs_are_found_by_the_beginning_of_their_name(folder: Path) -> None:
    with RunStore(folder) as store:
        assert store.runs() == []
        with pytest.raises(InputError, match=r"run: expected a run, of which .* has none, got 'ab'"):
            store.run("ab")
        ids = [store.begin(CONFIG | {"seed": seed}, ENVIRONMENT).id for seed in range(30)]
        assert store.begin(CONFIG | {"seed": 3}, {"threads": 2}).environment == ENVIRONMENT
        assert [info.config["seed"] for info in store.runs() if info.id == ids[4]] == [4]
        assert store.run(ids[7]).config == CONFIG | {"seed": 7}
        assert store.run(ids[7][:8]).id == ids[7]
        for wrong in ("", "zz"):
            with pytest.raises(InputError, match="run: expected"):
                store.run(wrong)
        twice = next(id[0] for id in ids if sum(other[0] == id[0] for other in ids) > 1)
        with pytest.raises(InputError, match="run: expected only one of"):
            store.frame(twice)
        assert isinstance(store.frame(ids[0]), pd.DataFrame)
        assert store.frame(ids[0]).empty


def test_a_store_is_read_while_a_run_writes(folder: Path) -> None:
    memory, stream = small_host()
    with RunStore(folder) as store:

        def look(row: dict[str, object]) -> None:
            with RunStore(folder) as reader:
                (info,) = reader.runs()
                assert (info.status, info.edits) == ("unfinished", row["edits"])
                assert reader.frame(info.id)["edits"].tolist()[-1] == row["edits"]

        run_stream(memory, EDITOR, stream, MEASURES, store, batch=12, report=look)


def test_what_a_killed_process_left_is_cleared_away(folder: Path) -> None:
    with RunStore(folder) as store:
        run = run_small(store, keep_updates=True)
        left = [folder / run.id / ".checkpoint-00000001.0.partial", folder / run.id / "updates/.1.partial"]
        for path in left:
            path.write_bytes(b"half")
        run_small(store, keep_updates=True)
        assert not any(path.exists() for path in left)


# --- the disk ---------------------------------------------------------------------------------------


@contextmanager
def no_room(size: int) -> Generator[None]:
    """No file may grow beyond a size: what a full disk does, without filling one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("size", [0, 2_000, 12_000, 60_000])
def test_no_room_for_another_file(folder: Path, size: int) -> None:
    """Lock, database, update or checkpoint: whichever does not fit, the run goes on once there is room."""
    with RunStore(folder / "a") as store, RunStore(folder / "b") as other:
        whole = run_small(other, keep_updates=True)
        with pytest.raises(KeyboardInterrupt):
            run_small(store, keep_updates=True, report=stop_at(12))
        before = rows_of(store, whole.id)
        with no_room(size), pytest.raises(StoreError) as caught:
            run_small(store, keep_updates=True)
        check_one_line(caught.value, "cannot use", "nothing that was stored is lost")
        assert rows_of(store, whole.id)[: len(before)] == before
        check_same(run_small(store, keep_updates=True), whole)


def test_no_room_in_the_database(folder: Path) -> None:
    with RunStore(folder / "a") as store, RunStore(folder / "b") as other:
        whole = run_small(other)
        pages = store._database.execute("PRAGMA page_count")[0][0]
        store._database.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StoreError) as caught:
            run_small(store)
        check_one_line(caught.value, "database or disk is full", str(folder / "a"))
        assert 0 < store.run(whole.id).edits < 48
        store._database.execute("PRAGMA max_page_count = 1000000")
        check_same(run_small(store), whole)


@pytest.mark.parametrize(("owner", "what"), [(os, "fsync"), (Path, "write_text")])
def test_a_disk_that_fails_at_any_moment(
    folder: Path, owner: object, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunStore(folder / "a") as store, RunStore(folder / "b") as other:
        whole = run_small(other)
        found, calls = getattr(owner, what), 0

        def failing(*args: object, **kwargs: object) -> object:
            nonlocal calls
            calls += 1
            if calls % 3 == 1:
                raise OSError(28, "No space left on device")
            return found(*args, **kwargs)

        for _ in range(4):
            with monkeypatch.context() as patch:
                patch.setattr(owner, what, failing)
                try:
                    run_small(store)
                except StoreError as error:
                    check_one_line(error, "the disk is full", "nothing that was stored is lost")
        assert calls
        check_same(run_small(store), whole)


@contextmanager
def unprivileged() -> Generator[None]:
    """As a user whom permissions bind."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("what", ["the folder", "the database", "the run"])
def test_a_store_that_may_not_be_written(what: str) -> None:
    """Read-only for this user: nothing changes, and it is a store again afterwards."""
    safetensors.torch.save({"warm": torch.ones(1)})  # what is imported must be read before permissions go
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        path = Path(name) / "store"
        with RunStore(path) as store:
            with pytest.raises(KeyboardInterrupt):
                run_small(store, report=stop_at(12))
            id, rows = store.runs()[0].id, rows_of(store, store.runs()[0].id)
        shut = {"the folder": [path], "the database": [path / "runs.sqlite"], "the run": [path / id]}[what]
        refused = pytest.raises(StoreError)
        with unwritable(shut), unprivileged(), refused as caught, RunStore(path) as store:
            run_small(store)
        check_one_line(caught.value, "cannot use", "nothing that was stored is lost")
        with RunStore(path) as store:
            assert rows_of(store, id) == rows
            assert run_small(store).status == "complete"


@contextmanager
def unwritable(paths: list[Path]) -> Generator[None]:
    modes = {path: path.stat().st_mode for path in paths}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_store_that_is_a_file(folder: Path) -> None:
    path = folder / "file"
    path.write_text("mine", encoding="utf-8")
    for place in (path, path / "below"):
        with pytest.raises(StoreError) as caught:
            RunStore(place)
        check_one_line(caught.value, "it is not a folder")
    assert path.read_text(encoding="utf-8") == "mine"


# --- other versions, other hands --------------------------------------------------------------------


def edited(folder: Path, *statements: str) -> None:
    with sqlite3.connect(folder / "runs.sqlite", isolation_level=None) as database:
        for statement in statements:
            database.execute(statement)
    database.close()


def test_another_layout_is_left_alone(folder: Path) -> None:
    with RunStore(folder) as store:
        run = run_small(store)
        rows = rows_of(store, run.id)
    edited(folder, "PRAGMA user_version = 7")
    with pytest.raises(StoreError) as caught:
        RunStore(folder)
    check_one_line(caught.value, f"cannot use {folder}: it has layout 7, this version reads 3")
    edited(folder, "PRAGMA user_version = 1")
    with RunStore(folder) as store:
        assert rows_of(store, run.id) == rows


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('{"editor": "another"}', "was stored under another configuration"),
        ("not JSON", "its database was changed and now holds 'not JSON'"),
        ("3", "its database was changed and now holds '3'"),
    ],
)
def test_a_configuration_that_was_tampered_with(folder: Path, config: str, said: str) -> None:
    with RunStore(folder) as store:
        with pytest.raises(KeyboardInterrupt):
            run_small(store, report=stop_at(12))
        (info,) = store.runs()
        edited(folder, f"UPDATE runs SET config = '{config}'")
        for resume in (True, False):
            with pytest.raises(StoreError) as caught:
                run_small(store, resume=resume)
            check_one_line(caught.value, said, str(folder))
        assert len(rows_of(store, info.id)) == 2
        edited(folder, f"UPDATE runs SET config = '{json.dumps(info.config)}'")
        assert run_small(store).status == "complete"


def test_a_run_is_read_without_the_others(folder: Path) -> None:
    """A reader of all asks for each of them: to read all each time would take the square of their number."""
    with RunStore(folder) as store:
        run = run_small(store)
        other = store.begin(CONFIG, ENVIRONMENT).id
        edited(folder, f"UPDATE runs SET config = 'not JSON' WHERE id = '{other}'")
        assert store.run(run.id).status == "complete"
        assert len(store.frame(run.id)) == 8
        with pytest.raises(StoreError, match="its database was changed"):
            store.runs()


def test_a_run_is_locked_against_another_store(folder: Path) -> None:
    with RunStore(folder) as store, RunStore(folder) as other:
        run = store.begin(CONFIG, ENVIRONMENT).id
        with store.files(run).locked():
            taken = pytest.raises(StoreError, match=rf"by another process \(process {os.getpid()}\)")
            with taken, other.files(run).locked():
                raise AssertionError
            second = other.begin(CONFIG | {"seed": 1}, ENVIRONMENT).id
            with other.files(second).locked():
                pass
        with other.files(run).locked():
            pass


def test_forgetting(folder: Path) -> None:
    with RunStore(folder) as store:
        run, other = run_small(store, keep_updates=True), run_small(store)
        store.forget(run.id)
        assert [info.id for info in store.runs()] == [other.id]
        assert list(store.rows(run.id)) == []
        assert not list((folder / run.id).rglob("*.safetensors"))
        assert torch.isfinite(other.weight).all()


def test_a_store_moves_with_its_folder(folder: Path) -> None:
    with RunStore(folder / "a") as store:
        run = run_small(store, keep_updates=True)
    shutil.move(folder / "a", folder / "b")
    with RunStore(folder / "b") as store, warnings.catch_warnings():
        warnings.simplefilter("error")
        again = run_small(store, keep_updates=True)
        assert torch.equal(again.weight_at(48), again.weight)
        assert again.id == run.id


def test_a_run_is_taken_over(folder: Path) -> None:
    with RunStore(folder / "whole") as whole, RunStore(folder / "scratch", journal="delete") as scratch:
        expected = run_small(whole, keep_updates=True)
        run = run_small(scratch, keep_updates=True)
        names = {path.name for path in (folder / "scratch").rglob("*.safetensors")}
        with RunStore(folder / "store") as store:
            store.adopt(scratch, run.id)
            check_same(replace(run, store=store), expected)
            assert torch.equal(replace(run, store=store).weight_at(24), expected.weight_at(24))
            assert store.runs() == scratch.runs()
            assert {path.name for path in (folder / "store" / run.id).rglob("*.safetensors")} == names
        assert not list((folder / "scratch").rglob("*.safetensors"))


@pytest.mark.parametrize("place", ["transaction", "replace", "finish"])
def test_a_takeover_that_is_cut_off_is_ended_by_the_next(
    folder: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunStore(folder / "scratch", journal="delete") as scratch, RunStore(folder / "store") as store:
        run = run_small(scratch, keep_updates=True)
        owner, calls = {"transaction": Database, "replace": Path, "finish": RunStore}[place], 0
        found = getattr(owner, place)

        def cut_off(*arguments: object) -> object:
            nonlocal calls
            calls += 1
            if calls == (3 if place == "replace" else 1):
                raise KeyboardInterrupt
            return found(*arguments)

        weight = run.weight
        with monkeypatch.context() as patch:
            patch.setattr(owner, place, cut_off)
            with pytest.raises(KeyboardInterrupt):
                store.adopt(scratch, run.id)
        assert [info.status for info in store.runs()] == ["unfinished"] * (place != "transaction")
        store.adopt(scratch, run.id)
        adopted = run_small(store, keep_updates=True)
        assert torch.equal(adopted.weight, weight)
        assert torch.equal(adopted.weight_at(48), weight)
        assert rows_of(store, run.id) == rows_of(scratch, run.id)


def test_what_a_store_had_of_an_unfinished_run_is_replaced(folder: Path) -> None:
    with RunStore(folder / "scratch") as scratch, RunStore(folder / "store") as store:
        run = run_small(scratch)
        store.begin(scratch.run(run.id).config, ENVIRONMENT)
        store.record(run.id, 0, {"edits": 6}, {})
        store.files(run.id).save_checkpoint(99, {"weight": torch.zeros(1)})
        store.adopt(scratch, run.id)
        assert torch.equal(replace(run, store=store).weight, run_small(store).weight)
        assert rows_of(store, run.id) == rows_of(scratch, run.id)


def test_a_run_that_is_worked_on_is_not_replaced(folder: Path) -> None:
    with RunStore(folder / "scratch") as scratch, RunStore(folder / "store") as store:
        run = run_small(scratch)
        with store.files(run.id).locked(), pytest.raises(InUseError, match="by another process"):
            store.adopt(scratch, run.id)
        assert store.runs() == []


def test_an_unknown_journal(folder: Path) -> None:
    check_refused(
        lambda: RunStore(folder, journal="none"),
        RangeError,
        "journal: expected one of 'wal', 'delete', got 'none'",
    )


# --- experiments ------------------------------------------------------------------------------------

SIZES = {"sizes": [1.0, 2.0], "seed": 0}


def test_what_was_measured_comes_back_as_it_was(folder: Path) -> None:
    rows = [
        {"value": 1 / 3, "bound": math.inf, "low": -math.inf, "count": 2, "real": True, "arm": "undo"},
        {"value": math.nan},
    ]
    with RunStore(folder) as store:
        store.keep_experiment("made", SIZES, iter(rows))
        store.keep_experiment("empty", SIZES, [])
    with RunStore(folder) as store:
        ((id, (config, found)),) = store.experiments("made").items()
        assert (id, config) == (experiment_id("made", SIZES), SIZES)
        assert found[0] == rows[0]
        assert math.isnan(found[1].pop("value"))
        assert found[1] == {}
        assert [found for _, found in store.experiments("empty").values()] == [[]]
        assert store.experiments("none") == {}
        assert store.runs() == []


def test_what_is_kept_first_stays(folder: Path) -> None:
    with RunStore(folder) as store:
        store.keep_experiment("made", SIZES, [{"value": 1}])
        store.keep_experiment("made", SIZES, [{"value": 2}])
        store.keep_experiment("another", SIZES, [{"value": 3}])
        store.keep_experiment("made", SIZES | {"seed": 1}, [{"value": 4}])
        assert sorted(rows[0]["value"] for _, rows in store.experiments("made").values()) == [1, 4]
        assert [rows for _, rows in store.experiments("another").values()] == [[{"value": 3}]]


def test_experiments_come_in_one_order(folder: Path) -> None:
    found = []
    for name, seeds in (("up", range(12)), ("down", range(11, -1, -1))):
        with RunStore(folder / name) as store:
            for seed in seeds:
                store.keep_experiment("made", {"seed": seed}, [{"value": seed}])
            found.append(list(store.experiments("made").items()))
    assert found[0] == found[1]
    assert len(found[0]) == 12


def test_rows_that_cannot_be_written_leave_nothing(folder: Path) -> None:
    with RunStore(folder) as store:
        with pytest.raises(TypeError):
            store.keep_experiment("made", SIZES, [{"value": 1}, {"value": torch.ones(2)}])
        assert store.experiments("made") == {}


@pytest.mark.parametrize("layout", [1, 2])
def test_a_store_of_an_earlier_layout_is_read_and_not_added_to(folder: Path, layout: int) -> None:
    with RunStore(folder) as store:
        run = run_small(store)
        expected = rows_of(store, run.id)
        store.keep_experiment("upkeep", SIZES, [{"value": 1}])
    with closing(sqlite3.connect(folder / "runs.sqlite")) as database:
        if layout == 1:
            database.execute("DROP TABLE experiments")
        database.execute(f"PRAGMA user_version = {layout}")
        database.commit()
    with RunStore(folder) as store:
        assert [info.id for info in store.runs()] == [run.id]
        assert rows_of(store, run.id) == expected
        assert len(store.experiments("energy-stabilization")) == layout - 1
        assert list(store.environments()) == ["runs", "experiments"][:layout]
        for add in (
            lambda: run_small(store, edits=12),
            lambda: run_small(store, resume=False),
            lambda: store.keep_experiment("made", SIZES, [{"value": 1}]),
            lambda: store.forget(run.id),
        ):
            with pytest.raises(StoreError) as caught:
                add()
            check_one_line(caught.value, f"cannot add to {folder}: it has layout {layout}", "can be read")
        assert rows_of(store, run.id) == expected


def test_what_was_measured_again_with_other_code_takes_the_place_of_the_first(folder: Path) -> None:
    with RunStore(folder) as store:
        for code in ("one", "two"):
            config = SIZES | {"code": code}
            assert not store.has_experiment("made", config)
            store.keep_experiment("made", config, [{"value": len(code), "by": code}])
            assert store.has_experiment("made", config)
        ((config, rows),) = store.experiments("made").values()
    assert (config, rows) == (SIZES | {"sizes": [1.0, 2.0]}, [{"value": 3, "by": "two"}])


def test_a_store_tells_what_its_numbers_were_computed_with(folder: Path) -> None:
    with RunStore(folder) as store:
        store.begin({"a": 1}, {"source": "one"})
        store.keep_experiment("made", SIZES, [], {"source": "two"})
        store.keep_experiment("made here", SIZES, [])
        found = store.environments()
    assert found["runs"] == [{"source": "one"}]
    assert sorted(one["source"] for one in found["experiments"]) == sorted(["two", environment()["source"]])


def test_damaged_rows_of_an_experiment_are_told_in_a_line(folder: Path) -> None:
    with RunStore(folder) as store:
        store.keep_experiment("made", SIZES, [{"value": 1}])
        with closing(sqlite3.connect(folder / "runs.sqlite")) as database:
            database.execute("UPDATE experiments SET rows = '[{'")
            database.commit()
        with pytest.raises(StoreError, match="its database was changed and now holds"):
            store.experiments("made")
