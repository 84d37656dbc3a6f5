"""An experiment on an edited layer: what its rows depend on is named, what it cannot edit refused."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from sphere_theory.errors import InputError, RangeError
from sphere_theory.experiments.interventions import Intervention
from sphere_theory.hosts.base import METRICS
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.hosts.synthetic import SyntheticLayer

HOST = SyntheticLayer((12, 20))
SMALL = {"host": HOST, "settings": ("ridge=10",), "edits": 25, "batch": 10}


def test_the_whole_stream_is_edited_batch_by_batch(tmp_path):
    start = Intervention(**SMALL).start(tmp_path)
    edited, counts = start.memory, []
    while edited.edits < 25:
        edited = start.edit(edited)
        counts.append(edited.edits)
    assert counts == [10, 20, 25]
    torch.testing.assert_close(start.edited().W, edited.W, rtol=0, atol=0)
    assert edited.W.dtype == start.stream.keys.dtype == torch.float64
    assert tuple(start.metrics(edited)) == METRICS


def test_the_host_sets_what_is_not_set():
    assert Intervention(MiniLM()).made_editor().ridge == 15
    assert Intervention(MiniLM(), settings=("ridge=2",)).made_editor().ridge == 2
    projected = Intervention(HOST, sphere=(0.4, 0.7)).made_editor()
    assert (projected.eta, projected.alpha) == (0.4, 0.7)


def test_the_code_of_the_editor_belongs_to_the_rows():
    codes = {Intervention(HOST, editor=name).code() for name in ("memit-seq", "alphaedit")}
    assert len(codes | {Intervention(HOST, sphere=(0.5, 0.8)).code()}) == 3
    assert Intervention(HOST, edits=7).code() in codes


def test_wrong_use_is_refused(tmp_path, unchecked):
    with pytest.raises(RangeError, match="sphere: expected η and α, or nothing"):
        Intervention(HOST, sphere=(0.5,))
    with pytest.raises(RangeError, match="edits: expected"):
        Intervention(HOST, edits=0)
    with pytest.raises(RangeError, match="batch: expected"):
        Intervention(HOST, batch=0)

    @dataclass(frozen=True)
    class Spoken(SyntheticLayer):
        """A host with another kind of edits."""

        def make(self, *_):
            return None, object()

    with pytest.raises(InputError, match="host: expected a layer whose edits are keys with values"):
        Intervention(Spoken((12, 20))).start(tmp_path)
