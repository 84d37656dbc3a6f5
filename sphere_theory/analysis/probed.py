"""Theorem 1 probed for the study: `probe_bound` on synthetic weights and on a real layer, in small tasks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sphere_theory.analysis.experiment import Experiment
from sphere_theory.analysis.probe import SIZES, probe_bound
from sphere_theory.models.datasets import packaged_prompts
from sphere_theory.streams.hosts import minilm_weight, record_minilm

SYNTHETIC = -1


@dataclass(frozen=True)
class Probe(Experiment):
    """Edits of every direction and size against the three constants.

    Parameters
    ----------
    layer
        Of MiniLM, with recorded keys as inputs; `SYNTHETIC`: Gaussian weights with every kind of inputs.
    shape
        (n, d) of synthetic weights.
    sizes
        Relative sizes of the edits.
    trials
        Audits for each cell.
    seed
        Of everything drawn.
    """

    name: ClassVar[str] = "probe"

    layer: int = SYNTHETIC
    shape: tuple[int, int] = (12, 10)
    sizes: tuple[float, ...] = SIZES
    trials: int = 3
    seed: int = 0

    def rows(self, folder: Path) -> list[dict[str, Any]]:
        """Probe.

        Parameters
        ----------
        folder
            Where recorded keys are kept.

        Returns
        -------
        list of dict
            As the rows of `probe_bound`, with tightness, the worst of each cell.
        """
        common: dict[str, Any] = {"sizes": self.sizes, "trials": self.trials, "seed": self.seed}
        if self.layer == SYNTHETIC:
            table = probe_bound(shapes=[self.shape], conditions=[1e6], **common)
        else:
            keys = record_minilm(self.layer, packaged_prompts(), folder).keys
            W = minilm_weight(self.layer).double()
            # Subjects repeat, so that the keys do not span the space, which low-rank edits here would need.
            directions = ("random", "tangent", "radial", "ascent", "descent", "adversarial")
            table = probe_bound(shapes=[], W=W, keys=keys.double().T, directions=directions, **common)
        rows: list[dict[str, Any]] = table.assign(tightness=table["tightness_max"]).to_dict("records")
        return rows


def tasks(quick: bool) -> list[Probe]:
    """Those of the study.

    Parameters
    ----------
    quick
        Fewer sizes, one shape, one real layer.

    Returns
    -------
    list of Probe
        On synthetic weights and on real layers, three seeds for each shape and for layer 3.
    """
    sizes = SIZES[::3] if quick else SIZES
    shapes = [(4, 3)] if quick else [(4, 3), (12, 10)]
    synthetic = [Probe(shape=shape, sizes=sizes, seed=seed) for shape in shapes for seed in range(3)]
    layers = [(3, seed) for seed in range(3)] + ([] if quick else [(0, 0), (5, 0)])
    sizes = (1e-5,) if quick else SIZES[::3]
    real = [Probe(layer, (384, 1536), sizes, trials=1, seed=seed) for layer, seed in layers]
    return synthetic + real
