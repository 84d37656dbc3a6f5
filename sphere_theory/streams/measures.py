"""What is measured along a stream: a row after every batch, the costly columns every so often.

Efficacy, generalisation and specificity are retrieval: the edited layer's output counts as right when
the nearest among a stated number of candidate values is the wanted one. Specificity asks it of keys that were
never edited, with the values of the layer before any edit.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sphere_theory.arrays import as_count, as_real, frobenius, full_precision
from sphere_theory.bound import KINDS, BoundAudit, audit_bound
from sphere_theory.constants import larger_end
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.energy import uniform_energy
from sphere_theory.errors import CoincidentNeuronsError
from sphere_theory.gram import GramTracker, gram_matrix
from sphere_theory.motion import as_motion
from sphere_theory.projection import edit_norm
from sphere_theory.spectrum import principal_space
from sphere_theory.streams.sources import EditStream
from sphere_theory.updates import LowRankUpdate

Row = dict[str, Any]

# Outputs that are compared with the candidates at once.
_BLOCK = 4096


@dataclass(frozen=True)
class Measures:
    """Which measures are taken, and how often.

    Parameters
    ----------
    every
        Batches between two rows with all columns. Default 10; the last batch has them too.
    early
        Whether rows 1, 2, 5, 10, 20, 50, … before the first of those have them as well: what ends early in a
        long stream would be seen too late. Default False.
    candidates
        Values among which an edited key's nearest is sought. Default 1,000, or all if there are fewer.
    preserved_candidates
        The same for preserved keys. Default 100, or all if there are fewer.
    eta
        Share η of the principal space whose part in ΔW is measured. Default 0.5.
    audits
        Whether full rows have the audits of the step and of the whole way. Default True.
    certificate
        Whether the change of HE is bounded step by step, which the path bound needs: O(n²d). Default True.
    seed
        Of the candidates.

    Raises
    ------
    RangeError
        A number outside its range.
    """

    every: int = 10
    early: bool = False
    candidates: int = 1000
    preserved_candidates: int = 100
    eta: float = 0.5
    audits: bool = True
    certificate: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        as_count(self.every, "every", low=1)
        as_count(self.candidates, "candidates", low=2)
        as_count(self.preserved_candidates, "preserved_candidates", low=2)
        as_real(self.eta, "eta", low=0, high=1, low_open=True)
        as_count(self.seed, "seed", low=0, high=2**63 - 1)

    def record(self) -> Row:
        """The settings as plain values."""
        return asdict(self)


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
class Gauge:
    """Everything about a stream and its layer that stays as it was before the first edit.

    Made once by `Gauge.prepare`; it holds no state of the run.
    """

    measures: Measures
    stream: EditStream
    W0: Float[Tensor, "n d"]
    candidates: Candidates
    preserved_values: Float[Tensor, "m n"]
    energy: float
    uniform: float
    norms: Float[Tensor, " n"]
    left: Float[Tensor, "n q"]
    singular: Float[Tensor, " q"]
    right: Float[Tensor, "d q"]
    basis: Float[Tensor, "d r"]

    @classmethod
    @full_precision()
    def prepare(cls, measures: Measures, stream: EditStream, memory: LayerMemory) -> Gauge:
        """Measure the layer before any edit.

        Parameters
        ----------
        measures
            What will be measured.
        stream
            The edits.
        memory
            The layer before any edit.

        Returns
        -------
        Gauge
            Ready for every row of the run.
        """
        W0 = memory.W0
        n, d = W0.shape
        generator = torch.Generator().manual_seed(measures.seed)
        chosen = torch.randperm(len(stream.values), generator=generator)[: measures.candidates]
        chosen = chosen.to(stream.values.device)
        left, singular, right = _singular(W0)
        tracker = GramTracker(W0)
        return cls(
            measures=measures,
            stream=stream,
            W0=W0,
            candidates=Candidates(stream.values[chosen], chosen),
            preserved_values=stream.preserved @ W0.T,
            energy=tracker.energy(),
            uniform=uniform_energy(n, d),
            norms=tracker.row_norms(),
            left=left,
            singular=singular,
            right=right,
            basis=principal_space(W0, eta=measures.eta).basis,
        )

    def due(self, batch: int, last: bool) -> bool:
        """Whether a batch's row has all columns."""
        count, measures = batch + 1, self.measures
        return (
            last
            or count % measures.every == 0
            or (measures.early and _is_round(count) and count < measures.every)
        )

    @full_precision()
    def every_batch(self, before: LayerMemory, after: LayerMemory, tracker: GramTracker) -> Row:
        """Columns that every row has, the bound's apart.

        Parameters
        ----------
        before, after
            The layer before and after the batch.
        tracker
            The energy after the batch.

        Returns
        -------
        dict
            Plain numbers by column.
        """
        start, stop = before.edits, after.edits
        energy, norms = tracker.energy(), tracker.row_norms()
        outputs = self.stream.own_keys(start, stop) @ after.W.T
        wanted = self.stream.values[self.stream.targets[start:stop]]
        size = frobenius(self.W0)
        return {
            "edits": stop,
            "energy": energy,
            "energy_uniform": energy / self.uniform,
            "energy_change": energy - self.energy,
            "step_norm": frobenius(after.W - before.W) / size,
            "edit_norm": frobenius(after.W - self.W0) / size,
            "row_norm_min": float(norms.min()),
            "row_norm_mean": float(norms.mean()),
            "row_norm_max": float(norms.max()),
            "row_norm_growth": float((norms / self.norms).log().mean().exp()) - 1,
            "residual_batch": _relative(outputs - wanted, wanted),
            "efficacy_batch": _share(self._right(outputs, start, stop)),
        }

    def _right(self, outputs: Float[Tensor, "b n"], start: int, stop: int) -> Bool[Tensor, " b"]:
        labels = self.stream.targets[start:stop]
        return self.candidates.found(outputs, self.stream.values[labels], labels)

    @full_precision()
    def now_and_then(self, before: LayerMemory, after: LayerMemory, update: LowRankUpdate | Tensor) -> Row:
        """The costly columns: all edits so far, preserved keys, spectrum, and the audits.

        Parameters
        ----------
        before, after
            The layer before and after the batch.
        update
            The batch's ΔW.

        Returns
        -------
        dict
            Plain numbers and verdicts by column.
        """
        total = (after.W - self.W0).double()
        row = self.retrieval(before.edits, after) | self._spectrum(after, total)
        if self.measures.audits:
            row |= _audited("step", audit_bound(before.W, update))
            row |= _audited("total", audit_bound(self.W0, total))
        return row

    @full_precision()
    def retrieval(self, start: int, after: LayerMemory) -> Row:
        """Columns about keys: all edits so far, and those that are to be preserved.

        Parameters
        ----------
        start
            Edits before the newest batch.
        after
            The layer after it, or one with the same edits whose weights were changed otherwise.

        Returns
        -------
        dict
            Plain numbers by column.
        """
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
        rivals = labels[: self.measures.preserved_candidates]
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

    def _spectrum(self, after: LayerMemory, total: Float[Tensor, "n d"]) -> Row:
        """Singular values, and how ΔW and the principal space of W lie to those of W0."""
        singular = _singular_values(after.W)
        # c_k, the part of ΔW along u_k v_kᵀ, the k-th singular direction of W0.
        along = ((total.T @ self.left) * self.right).sum(dim=0)
        ratio = math.sqrt(len(total)) * along.abs() / self.singular
        rank = self.basis.shape[1]
        size = frobenius(total)
        newest = principal_space(after.W, eta=self.measures.eta)
        now = newest.basis[:, :rank].double()
        then = self.basis.double()
        shared = then.T @ now
        cosines, sines = torch.linalg.svdvals(shared), torch.linalg.svdvals(now - then @ shared)
        return {
            "sigma_max": float(singular[0]),
            "condition": float(singular[0] / singular[-1]) if singular[-1] > 0 else math.inf,
            "singular_drift": _relative(singular - self.singular, self.singular),
            "R_max": float(ratio[:rank].max()),
            "R_mean": float(ratio[:rank].mean()),
            "principal_share": (frobenius(total @ then) / size) ** 2 if size else math.nan,
            "principal_rank": newest.rank,
            # Of the r directions before any edit: at most principal_rank/r.
            "principal_overlap": float(cosines.square().sum()) / rank,
            # Of the two that one tells a small angle, the other a large one.
            "principal_angle": math.atan2(float(sines.max()), float(cosines.min())),
        }


@full_precision()
def step_bound(before: Float[Tensor, "n d"], update: LowRankUpdate | Tensor) -> float:
    """What |ΔHE| of one step cannot exceed, whatever its size; the path bound adds it up (ledger B6, B8).

    Parameters
    ----------
    before
        Weights before the step.
    update
        ΔW.

    Returns
    -------
    float
        K*‖ΔW‖_F, with the larger of the constants at the two ends of the step; infinite where neurons
        coincide at one of them.
    """
    try:
        return larger_end(as_motion(before, update), s=1.0) * edit_norm(update)
    except CoincidentNeuronsError:
        return math.inf


def _audited(name: str, audit: BoundAudit) -> Row:
    row: Row = {
        f"{name}_energy_change": audit.energy_change,
        f"{name}_first_order_error": audit.first_order_error,
        f"{name}_smallest_gap": audit.smallest_gap,
        f"{name}_largest_turn": audit.largest_turn,
        f"{name}_enclosed_low": audit.enclosure.low,
        f"{name}_enclosed_high": audit.enclosure.high,
        f"{name}_sign": audit.enclosure.sign,
    }
    for kind in KINDS:
        check = audit.check(kind)
        row[f"{name}_{kind}"] = check.verdict
        row[f"{name}_{kind}_tightness"] = check.tightness
    return row


def _share(right: Bool[Tensor, " k"]) -> float:
    return float(right.double().mean())


def _relative(error: Tensor, reference: Tensor) -> float:
    size = frobenius(reference)
    return frobenius(error) / size if size else math.nan


def _singular(W: Float[Tensor, "n d"]) -> tuple[Tensor, Tensor, Tensor]:
    """Thin singular value decomposition W = Σ σ_k u_k v_kᵀ, from the smaller Gram matrix."""
    wide = W.double()
    turned = len(wide) > wide.shape[1]
    rows = wide.T if turned else wide
    squares, left = torch.linalg.eigh(gram_matrix(rows))
    singular, left = squares.flip(0).clamp_min(0).sqrt(), left.flip(1)
    right = rows.T @ (left / singular.clamp_min(torch.finfo(torch.float64).tiny))
    return (right, singular, left) if turned else (left, singular, right)


def _singular_values(W: Float[Tensor, "n d"]) -> Float[Tensor, " q"]:
    rows = W.double() if len(W) <= W.shape[1] else W.double().T
    return torch.linalg.eigvalsh(gram_matrix(rows)).flip(0).clamp_min(0).sqrt()


def _is_round(count: int) -> bool:
    """Whether a count is 1, 2 or 5 times a power of ten."""
    return str(count).rstrip("0") in {"1", "2", "5"}
