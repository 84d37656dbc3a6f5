"""What every host does: it says what it is, and is made on the device and in the dtype that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from naive import check_refused

from sphere_theory.errors import RangeError
from sphere_theory.hosts.base import DTYPES, METRICS, Host, Judge, Report, StreamSpec, quiet
from sphere_theory.hosts.keys import SyntheticKeys
from sphere_theory.hosts.synthetic import under_synthetic_keys


@dataclass(frozen=True)
class Ones(Host):
    """A layer of ones that is kept in float32."""

    place: Path = Path("a/place")
    depth: int = 2
    source: str = "gaussian"

    name: ClassVar[str] = "ones"
    varied: ClassVar[str] = "depth"
    shape: ClassVar[tuple[int, int]] = (4, 6)
    label: ClassVar[str] = "ones, depth 2"

    @property
    def weights(self):
        return f"ones at depth {self.depth}"

    def weight(self, seed: int = 0):
        return torch.eye(4, 6) + 1 + seed

    def with_edits(self, W, spec: StreamSpec, folder: Path, report: Report):
        report("asked", 1, 2)
        return under_synthetic_keys(W, SyntheticKeys(seed=spec.seed), spec)


def test_a_host_says_what_it_is() -> None:
    assert Ones().record() == {"model": "ones", "place": "a/place", "depth": 2, "source": "gaussian"}
    assert str(Ones(depth=5)) == "ones depth 5, gaussian keys"
    assert (Ones.title, Ones.editor_defaults, Ones().extra_memory(StreamSpec())) == (None, {}, {})


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_host_is_made_as_it_is_asked_for(dtype: str) -> None:
    told: list[tuple[str, int, int]] = []
    spec = StreamSpec(5, seed=3, dtype=dtype)
    memory, edits = Ones().make(spec, Path(), lambda *what: told.append(what))
    assert memory.W.dtype == spec.scalars == DTYPES[dtype]
    assert torch.equal(memory.W, (torch.eye(4, 6) + 4).to(DTYPES[dtype]))
    assert (edits.record["model"], edits.record["weights"]) == ("ones", "ones at depth 2")
    assert told == [("asked", 1, 2)]


def test_layers_of_one_shape_with_one_stream_are_told_apart() -> None:
    digests = {Ones(depth=depth).make(StreamSpec(5), Path())[1].digest for depth in (2, 3)}
    assert len(digests) == 2


def test_nobody_needs_to_be_told() -> None:
    assert quiet("anything", 1, 2) is None
    Ones().make(StreamSpec(5), Path())


def test_a_fact_is_given_the_value_of_another() -> None:
    assert [StreamSpec(edits).facts for edits in (1, 2, 7)] == [2, 2, 7]


def test_an_unknown_dtype() -> None:
    message = "dtype: expected one of 'float32', 'float64', got 'bfloat16'"
    check_refused(lambda: StreamSpec(dtype="bfloat16"), RangeError, message)


def test_what_says_less_than_a_host_or_a_judge_has_to_is_none() -> None:
    for kind in (Host, Judge):
        with pytest.raises(TypeError, match="abstract method"):
            kind()
    assert METRICS == ("efficacy", "generalisation", "specificity")
