"""ENCORE: the norm constraint holds edits down, and is not to be left out."""

from __future__ import annotations

import naive
from edited_layer import C0, W, batch
from hypothesis import given
from hypothesis import strategies as st

from sphere_theory import Encore, LayerMemory, MemitSequential
from sphere_theory.errors import RangeError


@given(seed=st.integers(0, 999))
def test_more_damping_gives_smaller_edits(seed: int) -> None:
    norms = [
        Encore(2.0, damping).update(LayerMemory(W, C0), batch(3, seed)).norm()
        for damping in (0.1, 1, 10, 100)
    ]
    assert norms == sorted(norms, reverse=True)


def test_it_is_memit_seq_with_damping() -> None:
    one, other = LayerMemory(W, C0), LayerMemory(W, C0)
    for seed in range(3):
        one = Encore(2.0, 0.5).apply(one, batch(2, seed))
        other = MemitSequential(2.0, 0.5).apply(other, batch(2, seed))
    assert (one.weight == other.weight).all()


def test_without_damping_it_is_another_method() -> None:
    assert MemitSequential(damping=0.0).damping == 0.0
    naive.check_refused(
        lambda: Encore(damping=0.0), RangeError, "damping: expected a number in (0, ∞), got 0.0"
    )
