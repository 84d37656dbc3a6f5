"""Records are taken up under the same header, whole lines only, and nobody else's file is written over."""

from __future__ import annotations

import json

import naive
import pytest

from sphere_theory.errors import InputError
from sphere_theory.journal import Journal

HEADER = {"seed": 0}


def stored(path, header=HEADER):
    return Journal(path, header).records


def filled(path, *values):
    store = Journal(path, HEADER)
    for value in values:
        assert store.append({"value": value}) == {"value": value}
    return store


def test_records_are_on_disk_at_once(tmp_path):
    path = tmp_path / "made" / "records.jsonl"
    store = filled(path, 1, "ΔW\u2028\r\n")
    assert stored(path) == store.records == [{"value": 1}, {"value": "ΔW\u2028\r\n"}]
    header, *lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    assert json.loads(header) == HEADER
    assert len(lines) == 2


@pytest.mark.parametrize("lost", [1, 3, 12])
def test_a_line_cut_short_is_dropped_and_the_next_one_is_whole(tmp_path, lost):
    path = tmp_path / "records.jsonl"
    filled(path, 1, 2)
    path.write_bytes(path.read_bytes()[:-lost])
    store = Journal(path, HEADER)
    assert store.records == [{"value": 1}]
    store.append({"value": 3})
    assert stored(path) == [{"value": 1}, {"value": 3}]


def test_another_header_begins_afresh(tmp_path):
    path = tmp_path / "records.jsonl"
    filled(path, 1)
    assert stored(path, {"seed": 1}) == []
    assert stored(path) == []


def test_a_header_cut_short_begins_afresh(tmp_path):
    path = tmp_path / "records.jsonl"
    filled(path)
    path.write_bytes(path.read_bytes()[:-4])
    assert stored(path) == []
    filled(path, 1)
    assert stored(path) == [{"value": 1}]


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "words", "[1]\n", "\n\n"])
def test_a_file_of_another_kind_is_left_alone(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_text(content)
    message = f"store: expected a new file, or one with records to take up, got {path}, of another kind"
    naive.check_refused(lambda: Journal(path, HEADER, "store"), InputError, message)
    assert path.read_text() == content


def test_without_a_path_records_are_kept_in_memory():
    store = Journal(None, HEADER)
    store.append({"value": 1})
    assert store.records == [{"value": 1}]


def test_nan_is_refused_and_nothing_is_written(tmp_path):
    path = tmp_path / "records.jsonl"
    store = filled(path, 1)
    with pytest.raises(ValueError, match="JSON compliant"):
        store.append({"value": float("nan")})
    assert stored(path) == store.records == [{"value": 1}]
