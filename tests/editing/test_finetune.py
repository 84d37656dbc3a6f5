"""FT: it learns what it is asked, within its clamp."""

from __future__ import annotations

import numpy as np
from edited_layer import W, batch, missing

from sphere_theory import FineTune, LayerMemory


def test_fine_tuning_learns_within_its_clamp() -> None:
    edits = batch(3)
    memory = FineTune(400, 0.02).apply(LayerMemory(W), edits)
    assert missing(memory, edits) < 1e-2 * missing(LayerMemory(W), edits)
    held = FineTune(400, 0.02, clamp=0.05).update(LayerMemory(W), edits)
    assert np.abs(held).max() == 0.05
