"""The memory plan: its numbers are those of the arrays, and a run that does not fit is refused."""

from __future__ import annotations

import pytest
import torch
from naive import check_refused
from small_layer import EDITOR, D, N, small_host

from sphere_theory.editing.finetune import FineTune
from sphere_theory.errors import RangeError
from sphere_theory.streams import memory as plan
from sphere_theory.streams.memory import free_memory, in_words, memory_plan, require_memory

CPU = torch.device("cpu")


def test_the_numbers_are_those_of_the_arrays() -> None:
    memory, stream = small_host(50)
    found = memory_plan((N, D), EDITOR, edits=50, batch=10)
    weights, gram, update, data, squares = found.values()
    assert weights == 4 * memory.W.nbytes
    assert gram == 4 * N * N * 8
    assert update == memory.W.nbytes + (N + D) * 10 * 8
    assert data >= stream.keys.nbytes + stream.values.nbytes + stream.preserved.nbytes
    assert squares == 6 * memory.moment().nbytes
    assert any(EDITOR.name in name for name in found)


def test_half_the_numbers_half_the_memory() -> None:
    wide, narrow = (
        memory_plan((N, D), FineTune(), edits=50, batch=10, dtype=x) for x in (torch.float64, torch.float32)
    )
    assert len(wide) == 4  # fine-tuning needs no second moment
    name = next(iter(wide))
    assert wide[name] == 2 * narrow[name] == 4 * N * D * 8


def test_a_run_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"weights": 3 * 2**30, "inverses": 5 * 2**30}
    monkeypatch.setattr(plan, "free_memory", lambda device: 8 * 2**30)
    require_memory(wanted, CPU)
    monkeypatch.setattr(plan, "free_memory", lambda device: 8 * 2**30 - 1)
    check_refused(
        lambda: require_memory(wanted, CPU),
        RangeError,
        "edits, shape: expected a run within the 8.0 GiB free on cpu, "
        "got 8.0 GiB needed, most of it for inverses",
    )


def test_free_memory_is_some() -> None:
    assert 2**20 < free_memory(CPU) < 2**50


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0.0 MiB"), (2**20, "1.0 MiB"), (2**30, "1.0 GiB"), (13 * 2**30 // 10, "1.3 GiB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert in_words(size) == words
