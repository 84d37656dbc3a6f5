"""Streams that claims are measured on: one host for all of them, each run once."""

from __future__ import annotations

import pytest
import torch

from sphere_theory.claims import Context, streams
from sphere_theory.claims.streams import (
    EDITORS,
    QUICK,
    SEQUENTIAL,
    all_streams,
    stream_host,
    stream_null_space,
    streamed,
)
from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.models.moments import second_moment


class Small(Context):
    """A layer without a model, whose keys leave AlphaEdit a proper null space of 15 dimensions."""

    def weight(self, layer: int) -> torch.Tensor:
        return torch.randn(24, 40, generator=torch.Generator().manual_seed(layer), dtype=torch.float64)

    def keys(self, layer: int) -> torch.Tensor:
        keys = torch.randn(40, 4000, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
        keys[25:] *= 1e-2
        return keys


@pytest.fixture(scope="module")
def context() -> Small:
    return Small(quick=True)


def test_all_streams_edit_one_host(context: Small) -> None:
    memory, stream = stream_host(context)
    assert stream_host(context)[1] is stream
    assert torch.equal(memory.W, context.weight(context.middle))
    torch.testing.assert_close(memory.moment(), second_moment(context.keys(context.middle)))
    assert (len(stream), len(stream.preserved)) == (400, 4000 - streams.EDITED)
    other = stream_host(Small(quick=True, seed=1))[1]
    assert other.digest != stream.digest


def test_edited_and_preserved_keys_are_different_tokens(context: Small) -> None:
    _, stream = stream_host(context)
    edited = {tuple(key) for key in stream.keys.tolist()}
    preserved = {tuple(key) for key in stream.preserved.tolist()}
    known = {tuple(key) for key in context.keys(context.middle).T.tolist()}
    assert not edited & preserved
    assert edited | preserved <= known


def test_a_stream_is_run_once(context: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    first = streamed(context, "memit-seq", SEQUENTIAL)
    assert first.frame["edits"].iloc[-1] == 400
    assert first.frame["efficacy"].notna().all()
    assert not torch.equal(first.weight, stream_host(context)[0].W)
    monkeypatch.setattr(streams, "run_stream", None)
    assert streamed(context, "memit-seq", SEQUENTIAL) is first


def test_the_quick_budget_runs_two_editors(context: Small) -> None:
    found = all_streams(context)
    assert tuple(found) == QUICK
    assert set(QUICK) < set(EDITORS)
    # The path bound is asked of the one whose steps are small enough for it.
    assert "path_bound" in found["alphaedit"].frame
    assert found["alphaedit"].frame["path_bound"].notna().all()


def test_the_null_space_is_alphaedits(context: Small) -> None:
    Q = stream_null_space(context)
    assert Q.shape == (40, 15)
    torch.testing.assert_close(Q.T @ Q, torch.eye(15, dtype=torch.float64))
    memory, _ = stream_host(context)
    assert float(torch.linalg.eigvalsh(Q.T @ memory.moment() @ Q)[-1]) < AlphaEdit().threshold
