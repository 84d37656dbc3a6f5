"""`sphere-theory energy` as a user meets it: what is printed where, and the exit code."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from command import check_wrong_use, command

from sphere_theory import energy, min_separation, uniform_energy


def test_it_prints_json_alone_on_stdout(model, tensors):
    ran = command("energy", model, "--match", "layer.*", "--json")
    assert ran.returncode == 0, ran.stderr
    rows = {row["tensor"]: row for row in json.loads(ran.stdout)}
    assert set(rows) == {"layer.0.up.weight", "layer.0.down.weight"}
    up = tensors["layer.0.up.weight"]
    row = rows["layer.0.up.weight"]
    assert row["uniformity"] == pytest.approx(energy(up) / uniform_energy(12, 8), rel=1e-12)
    distance, pair = min_separation(up)
    assert (row["separation"], tuple(row["pair"])) == (pytest.approx(distance), pair)
    assert row["norm_high"] == pytest.approx(float(up.norm(dim=1).max()))


def test_it_prints_csv_alone_on_stdout(model):
    ran = command("energy", model, "--csv")
    assert ran.returncode == 0, ran.stderr
    rows = {row["tensor"]: row for row in csv.DictReader(io.StringIO(ran.stdout))}
    assert len(rows) == 3
    assert rows["dead.weight"]["note"].endswith("got 4 zero rows (first at row 0)")


def test_it_prints_a_table_with_a_note_where_there_is_no_number(model):
    ran = command("energy", model)
    assert ran.returncode == 0, ran.stderr
    assert "layer.0.up.weight" in ran.stdout
    assert "no zero row" in ran.stdout


def test_it_fails_where_nothing_can_be_measured(model):
    assert command("energy", model, "--match", "dead.*").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["energy", "no/such/model.safetensors"], "model: expected"),
        (["energy", "MODEL", "--match", "nothing*"], "match: expected a pattern that fits a matrix"),
        (["energy", "MODEL", "--s", "-1"], "s: expected a number in [0, ∞), got -1.0"),
        (["energy", "MODEL", "--device", "abacus"], "device: expected a device that torch can use here"),
        (["energy", "MODEL", "--json", "--csv"], "format: expected one of --json and --csv, got both"),
    ],
)
def test_wrong_use(
    arguments: list[str], message: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_wrong_use([argument.replace("MODEL", model) for argument in arguments], message)
