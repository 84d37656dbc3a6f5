"""A small model editor in the manner of MEMIT. Plain numpy; keys and targets one per row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


class RidgeEditor:
    """Change a linear layer so that given keys are mapped to given targets, and little else moves.

    ridge: how much the change of everything else weighs.
    project: applied to the finished change, such as SPHERE's projector.
    """

    def __init__(self, ridge: float = 1e-3, project: Callable[[np.ndarray], np.ndarray] | None = None):
        self.ridge = ridge
        self.project = project

    def change(self, weight: np.ndarray, keys: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """weight (out, in), keys (batch, in), targets (batch, out) → what to add to weight."""
        change = self.solve(keys, targets - keys @ weight.T)
        return change if self.project is None else self.project(change)

    def solve(self, keys: np.ndarray, residual: np.ndarray) -> np.ndarray:
        penalty = self.ridge * np.eye(keys.shape[1]) + keys.T @ keys
        return np.linalg.solve(penalty, keys.T @ residual).T

    def apply(self, weight: np.ndarray, keys: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return weight + self.change(weight, keys, targets)
