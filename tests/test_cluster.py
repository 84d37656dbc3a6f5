"""HE over worker processes: the value that one process finds; workers that are not there."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import naive
import pytest
import torch
from naive import check_close, check_refused
from safetensors.torch import save_file

from sphere_theory import energy
from sphere_theory.cluster import connected, energy_of_file, has_workers
from sphere_theory.errors import ClusterError, NonFiniteError, RangeError, UnknownTensorError, ZeroRowError

if TYPE_CHECKING:
    from collections.abc import Generator

    from distributed import Client
    from workers import Workers

N, D = 4500, 12  # three parts, the last one short


@pytest.fixture(scope="module")
def client(workers: Workers) -> Generator[Client]:
    with workers.client() as connected_to:
        yield connected_to


def a_matrix(structure: str) -> torch.Tensor:
    W = torch.from_numpy(naive.structured("gaussian", 1, N, D))
    if structure == "near":
        # Pairs at an angle of about 1e-6, within a part and across two.
        W[1] = 3 * W[0] + 1e-6 * W[2]
        W[4400] = W[10] + 1e-6 * W[2]
    if structure == "float32":
        W = W.float()
    if structure == "two values":
        W = W.sign().float() * 0.1 + 1e-3 * W.float()
    return W


@pytest.mark.parametrize("structure", ["float32", "near", "two values"])
@pytest.mark.parametrize("s", [1.0, 0.0])
def test_the_value_of_one_process(structure: str, s: float, client: Client, tmp_path: Path) -> None:
    W = a_matrix(structure)
    save_file({"W": W}, tmp_path / "model.safetensors")
    found = energy_of_file(tmp_path, "W", client, s=s, rows=2048)
    check_close(found, energy(W, s=s), 1e-12)


def test_columns_that_are_neurons(client: Client, tmp_path: Path) -> None:
    """Conv1D keeps its neurons in columns: workers read those."""
    W = a_matrix("float32")[:2060]
    save_file({"h.0.mlp.c_fc.weight": W.T.contiguous()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    found = energy_of_file(tmp_path, "h.0.mlp.c_fc.weight", client, rows=2048)
    check_close(found, energy(W), 1e-12)


def test_a_path_of_this_process(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers stand elsewhere."""
    W = a_matrix("near")[:30]
    save_file({"W": W}, tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    assert energy_of_file("model.safetensors", "W", client) == energy(W)


def test_coincident_neurons(client: Client, tmp_path: Path) -> None:
    W = a_matrix("float32")
    W[4000] = 2 * W[5]
    save_file({"W": W}, tmp_path / "model.safetensors")
    assert energy_of_file(tmp_path, "W", client, rows=2048) == math.inf


def test_what_a_worker_refuses(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    W, V = a_matrix("near"), a_matrix("near")
    W[4100] = 0
    V[4100, 3] = math.nan
    save_file({"W": W, "V": V}, path)
    check_refused(
        lambda: energy_of_file(path, "W", client, rows=2048),
        ZeroRowError,
        "W[4096:4500]: expected no zero row (it has no direction), got 1 zero rows (first at row 4)",
    )
    check_refused(
        lambda: energy_of_file(path, "V", client, rows=2048),
        NonFiniteError,
        "V[4096:4500]: expected finite numbers, got 1 of 4848 entries NaN or infinite (first at (4, 3): nan)",
    )


def test_what_is_refused_before_a_worker_is_asked(client: Client, tmp_path: Path) -> None:
    save_file({"W": torch.eye(3)}, tmp_path / "model.safetensors")
    check_refused(
        lambda: energy_of_file(tmp_path, "W", client, s=-1.0),
        RangeError,
        "s: expected a number in [0, ∞), got -1.0",
    )
    check_refused(
        lambda: energy_of_file(tmp_path, "W", client, rows=0),
        RangeError,
        "rows: expected an integer ≥ 1, got 0",
    )
    with pytest.raises(UnknownTensorError, match="got 'V'"):
        energy_of_file(tmp_path, "V", client)


def test_workers_there_are(client: Client) -> None:
    assert has_workers(client)
    assert not has_workers(client, gpu=True)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere://here"])
def test_nobody_answers(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sphere_theory.cluster.TIMEOUT", 1)
    expected = (
        "^scheduler: expected the address of a running Dask scheduler, such as tcp://10.0.0.1:8786, got"
    )
    with pytest.raises(ClusterError, match=expected), connected(address):
        raise AssertionError


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"pip install 'sphere-theory\[cluster\]'"), connected():
        raise AssertionError


def test_workers_of_this_machine_keep_freed_memory():
    with connected(workers=1) as client:
        found = client.submit(os.environ.get, "MALLOC_TRIM_THRESHOLD_").result()
    assert int(found) >= 2**28, "expected no page to be handed back between two tensors"
