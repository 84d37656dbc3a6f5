"""What commands share: stores that are there, a page as wide as its rows, a bar that is no result."""

from __future__ import annotations

from pathlib import Path

import pytest
from naive import check_refused

from sphere_theory.cli.common import one_cluster, progress, result_page, stored
from sphere_theory.errors import RangeError
from sphere_theory.streams.store import RunStore


def test_to_read_from_a_store_does_not_make_it(tmp_path: Path) -> None:
    for missing in (tmp_path / "none", tmp_path):
        message = f"store: expected a folder with runs in it, got {str(missing)!r}"
        check_refused(lambda missing=missing: stored(missing), RangeError, message)
    assert not list(tmp_path.iterdir())
    RunStore(tmp_path).close()
    with stored(tmp_path) as found:
        assert found.runs() == []


def test_workers_belong_to_one_cluster() -> None:
    for arguments in ((None, None), (None, 2), ("tcp://here", None)):
        one_cluster(*arguments)
    message = "workers: expected none with --scheduler, which has its own, got 2"
    check_refused(lambda: one_cluster("tcp://here", 2), RangeError, message)


def test_rows_are_not_folded_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    result_page().print("x" * 140)
    assert capsys.readouterr().out == "x" * 140 + "\n"


def test_progress_is_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(3) as (bar, task):
        bar.update(task, advance=3, description="all of it")
        assert bar.finished
    assert capsys.readouterr().out == ""
