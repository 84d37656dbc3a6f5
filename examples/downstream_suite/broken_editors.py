"""The editor with one plausible mistake each. The suite has to notice every one of them."""

from __future__ import annotations

import numpy as np

from editor import RidgeEditor


class TransposesKeysByReshape(RidgeEditor):
    """Right for a single key, and for no larger batch."""

    def solve(self, keys: np.ndarray, residual: np.ndarray) -> np.ndarray:
        columns = keys.reshape(keys.shape[::-1])
        penalty = self.ridge * np.eye(keys.shape[1]) + columns @ columns.T
        return np.linalg.solve(penalty, columns @ residual).T


class ForgetsWhatIsThere(RidgeEditor):
    """Adds the targets instead of what is missing of them."""

    def change(self, weight: np.ndarray, keys: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return super().change(np.zeros_like(weight), keys, targets)


class DecaysWeights(RidgeEditor):
    """A little weight decay, as an optimiser would add it: the update is of full rank."""

    def change(self, weight: np.ndarray, keys: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return super().change(weight, keys, targets) - 1e-3 * weight


class ProjectsKeys(RidgeEditor):
    """Projects the keys before the solve instead of the change after it."""

    def change(self, weight: np.ndarray, keys: np.ndarray, targets: np.ndarray) -> np.ndarray:
        seen = keys if self.project is None else self.project(keys)
        return self.solve(seen, targets - keys @ weight.T)


class ClipsChanges(RidgeEditor):
    """Clips at an absolute size, which means something else for every scale of the weights."""

    def change(self, weight: np.ndarray, keys: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return np.clip(super().change(weight, keys, targets), -0.1, 0.1)


class FreezesTheFirstNeuron(RidgeEditor):
    """An index that should have been a mask."""

    def change(self, weight: np.ndarray, keys: np.ndarray, targets: np.ndarray) -> np.ndarray:
        change = super().change(weight, keys, targets)
        change[0] = 0
        return change
