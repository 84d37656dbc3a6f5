"""How much of one space is in another, and of SPHERE's in AlphaEdit's null space."""

from __future__ import annotations

import pytest
import torch

from sphere_theory.editing.alphaedit import AlphaEdit, null_space
from sphere_theory.experiments.space_overlap import SpaceOverlap, inside, overlap
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.spectrum import Subspace, principal_space

HOST = SyntheticLayer((16, 24))


def _gauss(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def overlap_rows(tmp_path_factory):
    task = SpaceOverlap(HOST, batch=6, batches=2, thresholds=(1e-9, 0.5, 100.0))
    return task, task.rows(tmp_path_factory.mktemp("keys"))


def test_shares_are_those_inside():
    basis = torch.linalg.qr(_gauss(10, 4)).Q
    part, rest = Subspace(basis[:, :1]), Subspace(basis[:, 2:])
    assert overlap(part, Subspace(basis)) == pytest.approx(1)
    assert overlap(Subspace(basis), part) == pytest.approx(1 / 4)
    assert overlap(part, rest) == pytest.approx(0, abs=1e-12)
    assert inside(3 * basis[:, :1].T + 4 * basis[:, 1:2].T, part) == pytest.approx(9 / 25)


def test_the_overlap_is_that_of_the_two_spaces(overlap_rows, tmp_path):
    task, rows = overlap_rows
    memory, stream = task.made(tmp_path, 12)
    U, Q = principal_space(memory.W, eta=0.5), Subspace(null_space(memory, 0.5))
    none, some, all_of_it = [row for row in rows if row["kind"] == "threshold"]
    assert (none["kept"], none["inside"], none["chance"]) == (0, 0.0, 0.0)
    assert (some["kept"], some["chance"]) == (Q.rank, Q.rank / 24)
    assert some["inside"] == pytest.approx(overlap(U, Q))
    assert (all_of_it["kept"], all_of_it["inside"]) == (24, pytest.approx(1))
    curve = [row for row in rows if row["kind"] == "curve"]
    assert [row["kept"] for row in curve] == list(range(1, 25))
    assert curve[Q.rank - 1]["inside"] == some["inside"]
    edits = [row for row in rows if row["kind"] == "edit"]
    assert [(row["edit"], row.get("threshold")) for row in edits[::2]] == [
        ("memit-seq", None),
        ("alphaedit", 0.5),
        ("alphaedit", 100.0),
    ]
    update = AlphaEdit(task.l2, 0.5).update(memory, stream.batch(6, 12)).dense()
    assert edits[3]["edit_inside"] == pytest.approx(inside(update, U))
    assert edits[3]["chance"] == pytest.approx(overlap(U, Q) * U.rank / Q.rank)
    assert edits[0]["chance"] == U.rank / 24
