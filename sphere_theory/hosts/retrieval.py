"""Efficacy, generalisation and specificity of a single layer, as retrieval of a key's value.

The edited layer's output counts as right when the nearest among a stated number of candidate values is the
wanted one. Specificity asks it of keys that were never edited, with the values of the layer before any edit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sphere_theory.arrays import frobenius, full_precision
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.hosts.base import Judge, Row

if TYPE_CHECKING:
    from sphere_theory.hosts.edits import EditStream

# Outputs that are compared with the candidates at once.
_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Candidates:
    """Values among which the nearest to an output is sought.

    Attributes
    ----------
    values
        (c, n), one a row.
    labels
        Which value each is, (c,).
    """

    values: Float[Tensor, "c n"]
    labels: Int64[Tensor, " c"]

    def found(
        self, outputs: Float[Tensor, "k n"], wanted: Float[Tensor, "k n"], labels: Int64[Tensor, " k"]
    ) -> Bool[Tensor, " k"]:
        """Whether each output is nearer to its wanted value than to every other candidate.

        Parameters
        ----------
        outputs
            One a row.
        wanted
            The value each should be.
        labels
            Which value that is: the same one among the candidates is no rival.

        Returns
        -------
        Tensor
            (k,).
        """
        right = []
        blocks = zip(outputs.split(_BLOCK), wanted.split(_BLOCK), labels.split(_BLOCK), strict=True)
        for here, aim, label in blocks:
            # ‖y − c‖² < ‖y − v‖²  ⟺  ‖c‖² − 2y·c < ‖v‖² − 2y·v: one product, no square of y.
            rivals = self.values.square().sum(dim=1) - 2 * here @ self.values.T
            rivals.masked_fill_(label[:, None] == self.labels, torch.inf)
            own = aim.square().sum(dim=1) - 2 * (here * aim).sum(dim=1)
            right.append(own < rivals.min(dim=1).values)
        return torch.cat(right)


@dataclass(frozen=True, eq=False)
class Retrieval(Judge):
    """The judge of a layer by itself.

    Attributes
    ----------
    stream
        The edits.
    candidates
        Values among which an edited key's nearest is sought.
    preserved_values
        W0 k of the preserved keys, (m, n).
    rivals
        How many of those the nearest is sought among.
    """

    stream: EditStream
    candidates: Candidates
    preserved_values: Float[Tensor, "m n"]
    rivals: int

    @classmethod
    @full_precision()
    def prepared(
        cls,
        stream: EditStream,
        W: Float[Tensor, "n d"],
        *,
        candidates: int,
        preserved_candidates: int,
        seed: int,
    ) -> Retrieval:
        """Draw the candidates, and ask the layer before any edit.

        Parameters
        ----------
        stream
            The edits.
        W
            Weights before any of them.
        candidates, preserved_candidates, seed
            As of `Measures`.

        Returns
        -------
        Retrieval
            Ready for every row of a run.
        """
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(stream.values), generator=generator)[:candidates].to(stream.values.device)
        found = Candidates(stream.values[chosen], chosen)
        return cls(stream, found, stream.preserved @ W.T, preserved_candidates)

    @full_precision()
    def newest(self, before: LayerMemory, after: LayerMemory) -> Row:
        """As of `Judge`: residual and efficacy of the newest batch."""
        start, stop = before.edits, after.edits
        outputs = self.stream.own_keys(start, stop) @ after.W.T
        wanted = self.stream.values[self.stream.targets[start:stop]]
        return {
            "residual_batch": _relative(outputs - wanted, wanted),
            "efficacy_batch": _share(self._right(outputs, start, stop)),
        }

    def _right(self, outputs: Float[Tensor, "b n"], start: int, stop: int) -> Bool[Tensor, " b"]:
        labels = self.stream.targets[start:stop]
        return self.candidates.found(outputs, self.stream.values[labels], labels)

    @full_precision()
    def everything(self, start: int, after: LayerMemory) -> Row:
        """As of `Judge`: all edits so far, and keys that are to be preserved."""
        W, stream, stop = after.W, self.stream, after.edits
        kept = stream.in_force(stop)
        right: dict[str, list[Tensor]] = {"keys": [], "others": []}
        residual, size = 0.0, 0.0
        for low in range(0, stop, _BLOCK):
            high = min(low + _BLOCK, stop)
            outputs = stream.own_keys(low, high) @ W.T
            wanted = stream.values[stream.targets[low:high]]
            right["keys"].append(self._right(outputs, low, high))
            right["others"].append(self._right(stream.other_keys(low, high) @ W.T, low, high))
            residual += float((outputs - wanted).double().square().sum())
            size += float(wanted.double().square().sum())
        own, others = (torch.cat(right[name]) for name in ("keys", "others"))
        outputs = stream.preserved @ W.T
        labels = torch.arange(len(outputs), device=outputs.device)
        rivals = labels[: self.rivals]
        preserved = Candidates(self.preserved_values[rivals], rivals)
        moved = torch.linalg.vector_norm(outputs - self.preserved_values, dim=1)
        return {
            "in_force": len(kept),
            "efficacy": _share(own[kept]),
            "generalisation": _share(others[kept]),
            "generalisation_batch": _share(others[start:stop]),
            "residual": math.sqrt(residual / size),
            "specificity": _share(preserved.found(outputs, self.preserved_values, labels)),
            "preserved_change": float(
                (moved / torch.linalg.vector_norm(self.preserved_values, dim=1)).median()
            ),
        }


def _share(right: Bool[Tensor, " k"]) -> float:
    return float(right.double().mean())


def _relative(error: Tensor, reference: Tensor) -> float:
    size = frobenius(reference)
    return frobenius(error) / size if size else math.nan
