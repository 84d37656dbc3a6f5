"""A small layer with its C0, and batches for it: what the tests of single editors edit."""

from __future__ import annotations

import numpy as np

from sphere_theory import EditBatch, LayerMemory

N, D = 6, 10
rng = np.random.default_rng(0)
W = rng.normal(size=(N, D))
SAMPLES = rng.normal(size=(D, 50))
C0 = SAMPLES @ SAMPLES.T / 50


def batch(b: int, seed: int = 1) -> EditBatch:
    draw = np.random.default_rng(seed)
    return EditBatch(draw.normal(size=(D, b)), draw.normal(size=(N, b)))


def missing(memory: LayerMemory, edits: EditBatch) -> float:
    return float(np.linalg.norm(edits.values - memory.weight @ edits.keys))
