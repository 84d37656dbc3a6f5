"""Is a stable energy the cause of good edits, or a companion? Changes of an edited layer that tell.

Its energy at a fixed size of weights and outputs, its outputs at a fixed energy, and its energy at nearly
fixed outputs. `EnergyStabilization` asks the same along a stream.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sphere_theory.arrays import frobenius, full_precision
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.energy import energy_gradient
from sphere_theory.experiments.base import Row
from sphere_theory.experiments.edited import EditingExperiment, Start
from sphere_theory.experiments.perturbations import (
    amount_of,
    balanced_signs,
    descent,
    quiet_space,
    random_planes,
    stretched,
    turned,
)
from sphere_theory.hosts.edits import EditStream

# What is done to an edited layer. D lowers HE; −D and diag(ε)D move every output just as far.
MOVES_ENERGY = ("HE lowered", "HE raised")
QUIET = ("HE lowered, quiet", "HE raised, quiet")
KEEPS_ENERGY = ("signs", "radial", "norms back", "norms away", "rotation")
CHECK, UNDO = "rotation, keys too", "undo"
ARMS = (*MOVES_ENERGY, *QUIET, *KEEPS_ENERGY, UNDO, CHECK)

# Differences that answer the question: the first arm less the second, on the same layer.
CONTRASTS = (
    ("HE lowered", "signs"),
    ("HE raised", "signs"),
    ("radial", "signs"),
    ("rotation", "signs"),
    ("norms back", "signs"),
    ("undo", "HE lowered"),
)

# Random signs, scales and planes drawn for one layer and size; their effects are averaged.
DRAWS = 2


@dataclass(frozen=True)
class Intervention(EditingExperiment):
    """Metrics of an edited layer before and after one change of its weights, for changes of many kinds.

    D, of relative size ‖D‖_F/‖W‖_F, lowers HE as far as it can (`descent`). Beside it stand

    - "HE raised": −D; "signs": diag(ε)D with random signs that leave HE where it is to first order. All three
      have the same ‖D‖_F, the same ‖D C0^½‖_F, and the same ‖Dk‖ for every single key;
    - "HE lowered, quiet" and "HE raised, quiet": the same ‖D‖_F in the half of the input directions that
      preserved and edited keys use least;
    - "radial", "norms back", "norms away", "rotation": rows scaled by random factors, towards the norms they
      had before any edit, away from them, or all turned; HE stays exactly, ‖D C0^½‖_F is that of D;
    - "undo": a part of the edits taken back, with the same ‖D C0^½‖_F;
    - "rotation, keys too": nothing that is measured may change.

    "norms back" and "undo" have no row where they would have to go beyond the layer before any edit, nor have
    rotations that half a turn is too little for.

    Parameters
    ----------
    sizes
        ‖D‖_F/‖W‖_F. Default 0.2, 0.4 and 0.8.
    """

    sizes: tuple[float, ...] = (0.2, 0.4, 0.8)

    name: ClassVar[str] = "interventions"

    @full_precision()
    def rows(self, folder: Path) -> list[Row]:
        """Measure them.

        Parameters
        ----------
        folder
            Where recorded keys are kept.

        Returns
        -------
        list of dict
            A row a size, arm and draw: arm, size, draw; ‖D‖_F/‖W‖_F, ‖D C0^½‖_F/‖W C0^½‖_F and the same for
            the edited keys; ΔHE over the uniform energy, and that of all edits before; the metrics after
            (efficacy, …), and their changes (efficacy_change, …).
        """
        start = self.start(folder)
        edited = start.edited()
        layer = EditedLayer.of(start, edited)
        before = start.metrics(edited)
        fixed = {
            "edits_energy_change": start.shift(edited.W0, edited.W - edited.W0),
            "edits_weight_change": frobenius(edited.W - edited.W0) / frobenius(edited.W0),
        } | {f"{name}_before": value for name, value in before.items()}
        rows = []
        for size in self.sizes:
            # A size's draws do not depend on which other sizes are asked for.
            for change in layer.changes(size, torch.Generator().manual_seed(self.seed)):
                seen = replace(start, judge=replace(start.judge, stream=change.stream))
                after = seen.metrics(edited.at(edited.W + change.D))
                gains = {f"{name}_change": after[name] - value for name, value in before.items()}
                what = {"arm": change.arm, "size": size, "draw": change.draw}
                rows.append(fixed | what | layer.sizes(change.D) | after | gains)
        return rows


class Change(NamedTuple):
    """A change D of an edited layer, and the keys that the changed layer gets."""

    arm: str
    draw: int
    D: Float[Tensor, "n d"]
    stream: EditStream


@dataclass(frozen=True, eq=False)
class EditedLayer:
    """An edited layer that is to be changed.

    Attributes
    ----------
    start
        What it was.
    edited
        What it is.
    squares
        w_iᵀC0w_i, (n,).
    quiet
        As of `quiet_space`, for preserved and edited keys.
    """

    start: Start
    edited: LayerMemory
    squares: Float[Tensor, " n"]
    quiet: Float[Tensor, "d q"]

    @classmethod
    def of(cls, start: Start, edited: LayerMemory) -> EditedLayer:
        """What all changes of a layer have in common.

        Parameters
        ----------
        start
            What it was.
        edited
            What it is.

        Returns
        -------
        EditedLayer
            Ready for every size.
        """
        W, C0, K = edited.W, edited.moment(), start.stream.own_keys(0, edited.edits)
        return cls(start, edited, ((W @ C0) * W).sum(dim=1), quiet_space([C0, K.T @ K]))

    def sizes(self, D: Float[Tensor, "n d"]) -> Row:
        """How large a change is: in weights, outputs and energy.

        Parameters
        ----------
        D
            The change.

        Returns
        -------
        dict
            Plain numbers.
        """
        W, K = self.edited.W, self.start.stream.own_keys(0, self.edited.edits).T
        return {
            "weight_change": frobenius(D) / frobenius(W),
            "output_change": self._output(D) / math.sqrt(float(self.squares.sum())),
            "edited_change": frobenius(D @ K) / frobenius(W @ K),
            "energy_change": self.start.shift(W, D),
        }

    def _output(self, D: Float[Tensor, "n d"]) -> float:
        """‖D C0^½‖_F, the root mean square change of an output."""
        return math.sqrt(float(((D @ self.edited.moment()) * D).sum()))

    def changes(self, size: float, generator: torch.Generator) -> Iterator[Change]:
        """Every arm at one size.

        Parameters
        ----------
        size
            ‖D‖_F/‖W‖_F of "HE lowered".
        generator
            Of everything drawn.

        Yields
        ------
        Change
            "HE lowered" first.
        """
        W, stream = self.edited.W, self.start.stream
        length = size * frobenius(W)
        D = descent(W, length)
        yield Change(MOVES_ENERGY[0], 0, D, stream)
        yield Change(MOVES_ENERGY[1], 0, -D, stream)
        parts = (D * energy_gradient(W)).sum(dim=1)
        for draw in range(DRAWS):
            yield Change("signs", draw, balanced_signs(parts, generator)[:, None] * D, stream)
        quiet = descent(W, length, within=self.quiet)
        yield Change(QUIET[0], 0, quiet, stream)
        yield Change(QUIET[1], 0, -quiet, stream)
        wanted = self._output(D)
        yield from self._scalings(wanted, generator)
        yield from self._rotations(wanted, generator)
        back = self.edited.W0 - W
        if (most := self._output(back)) >= wanted:
            yield Change(UNDO, 0, (wanted / most) * back, stream)

    def _scalings(self, wanted: float, generator: torch.Generator) -> Iterator[Change]:
        W, stream = self.edited.W, self.start.stream
        back = (self.edited.W0.norm(dim=1) / W.norm(dim=1)).log()
        noise = [torch.randn(len(W), generator=generator, dtype=W.dtype).to(W.device) for _ in range(DRAWS)]
        logs = [("radial", draw, z) for draw, z in enumerate(noise)]
        for arm, draw, z in [*logs, ("norms back", 0, back), ("norms away", 0, -back)]:
            reach = self._reach_of(z)
            if arm != "norms back" or reach(1.0) >= wanted:
                yield Change(arm, draw, stretched(W, z, amount_of(reach, wanted)) - W, stream)

    def _reach_of(self, logs: Float[Tensor, " n"]) -> Callable[[float], float]:
        """‖D C0^½‖_F of rows scaled by e^(amount·z_i)."""
        return lambda amount: math.sqrt(float(((amount * logs).expm1().square() * self.squares).sum()))

    def _rotations(self, wanted: float, generator: torch.Generator) -> Iterator[Change]:
        W, stream = self.edited.W, self.start.stream
        for draw in range(DRAWS):
            planes = random_planes(W.shape[1], generator).to(W.device)
            reach = self._reach_in(planes)
            if reach(math.pi) >= wanted:
                angle = amount_of(reach, wanted, most=math.pi)
                D = turned(W, planes, angle) - W
                yield Change("rotation", draw, D, stream)
                yield Change(CHECK, draw, D, _turned_keys(stream, planes, angle))

    def _reach_in(self, planes: Int64[Tensor, "2 q"]) -> Callable[[float], float]:
        """‖D C0^½‖_F of a rotation: D = (cos φ − 1) A + sin φ B, with A and B from the turns by π and π/2."""
        W, C0 = self.edited.W, self.edited.moment()
        A = (W - turned(W, planes, math.pi)) / 2
        B = turned(W, planes, math.pi / 2) - W + A
        a, b, ab = (float(((X @ C0) * Y).sum()) for X, Y in ((A, A), (B, B), (A, B)))

        def reach(angle: float) -> float:
            u, v = math.cos(angle) - 1, math.sin(angle)
            return math.sqrt(max(0.0, u * u * a + v * v * b + 2 * u * v * ab))

        return reach


def _turned_keys(stream: EditStream, planes: Int64[Tensor, "2 q"], angle: float) -> EditStream:
    return replace(
        stream,
        keys=turned(stream.own_keys(0, len(stream)), planes, angle),
        paraphrases=turned(stream.paraphrases.to(stream.values), planes, angle),
        preserved=turned(stream.preserved, planes, angle),
    )
