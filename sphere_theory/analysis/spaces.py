"""The spaces that SPHERE rests on, measured on a layer before any edit: what no stream shows.

How far real keys are from the theorem's orthonormal inputs; why directions of variance should matter to an
energy of angles; and how SPHERE's space lies to the one that AlphaEdit edits in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.analysis.experiment import OnHost, Row
from sphere_theory.arrays import as_matrix, as_real, frobenius, full_precision
from sphere_theory.editing.alphaedit import AlphaEdit, null_space
from sphere_theory.editing.catalog import find_editor
from sphere_theory.editing.problem import Editor, LayerMemory
from sphere_theory.energy import energy_gradient, uniform_energy
from sphere_theory.errors import RangeError, ShapeError, SingularError
from sphere_theory.gram import gram_matrix
from sphere_theory.models.activations import MINILM_LAYERS
from sphere_theory.motion import energy_change
from sphere_theory.neurons import as_neurons
from sphere_theory.projection import NormMatchedShrinkage, SparseProjector, edit_norm
from sphere_theory.spectrum import Subspace, bottom_space, principal_space, random_space
from sphere_theory.streams.job import MINILM_RIDGE
from sphere_theory.streams.sources import EditStream
from sphere_theory.updates import LowRankUpdate, dense_tensor

# Spaces that the energy is asked about, of r directions but for the mean's, and how figures call them.
SPACES: Mapping[str, str] = {
    "principal": "SPHERE: top-r of W",
    "unit": "top-r of unit rows",
    "gradient": "top-r of ∇HE itself",
    "mean": "mean direction (r = 1)",
    "random": "random in the neurons' span",
    "bottom": "bottom-r of W",
}

# Points of a curve over d directions: it is drawn, not tabulated.
_POINTS = 48

# The same shape as MiniLM's layers, so that chance is the same.
_SYNTHETIC = (384, 1536)


def _about(task: OnHost) -> Row:
    return {"host": task.host, "real": task.model != "synthetic"}


# ---- Orthonormality of keys ------------------------------------------------------------------------------


@full_precision()
def orthonormality(keys: Float[Tensor, "d m"]) -> Row:
    """How far inputs are from XᵀX = I, which Theorem 1 supposes.

    With G = XᵀX of m keys and eigenvalues λ_k, the participation ratio is p = (Σλ)²/Σλ². The best scaling
    leaves min_c ‖cG − I‖_F/‖I‖_F = √(1 − p/m): orthonormality but for a unit is p = m.

    Parameters
    ----------
    keys
        X, (d, m), m ≥ 2, no zero column.

    Returns
    -------
    dict
        keys (m), dimension (d); error_raw = ‖G − I‖_F/√m as they are, error_best with one best scale for
        all, error_unit with every key scaled to length 1; cosine, mean |cos| of two keys, and cosine_chance,
        that of two random directions; participation p, entropy_rank exp(−Σ q ln q) with q = λ/Σλ, condition,
        the largest over the smallest singular value of X (infinite for m > d); norm_spread, the standard
        deviation of the keys' norms over their mean.

    Raises
    ------
    ShapeError
        Fewer than two keys.
    RangeError
        A zero key.
    """
    X = as_matrix(keys, "keys").double()
    d, m = X.shape
    if m < 2:
        raise ShapeError("keys", "at least two columns", f"shape {tuple(X.shape)}")
    norms = torch.linalg.vector_norm(X, dim=0)
    if not bool(norms.all()):
        raise RangeError("keys", "no zero column", f"column {int(norms.argmin())} is zero")
    gram, cosines = X.T @ X, (X / norms).T @ (X / norms)
    identity = torch.eye(m, dtype=X.dtype, device=X.device)
    values = torch.linalg.eigvalsh(gram).flip(0).clamp_min(0)
    p = participation(values)
    known = values > torch.finfo(torch.float64).eps * max(d, m) * values[0]
    full = bool(known.all()) and m <= d
    return {
        "keys": m,
        "dimension": d,
        "error_raw": frobenius(gram - identity) / math.sqrt(m),
        "error_best": math.sqrt(max(0.0, 1 - p / m)),
        "error_unit": frobenius(cosines - identity) / math.sqrt(m),
        "cosine": float((cosines - identity).abs().sum()) / (m * (m - 1)),
        "cosine_chance": chance_cosine(d),
        "participation": p,
        "entropy_rank": _entropy_rank(values),
        "condition": math.sqrt(float(values[0] / values[-1])) if full else math.inf,
        "norm_spread": float(norms.std() / norms.mean()),
    }


def participation(values: Float[Tensor, " k"]) -> float:
    """Participation ratio (Σλ)²/Σλ² of a spectrum: how many equal eigenvalues would spread as far.

    Parameters
    ----------
    values
        Eigenvalues, none negative, not all zero.

    Returns
    -------
    float
        Between 1 and their number.
    """
    shares = values / values.sum()
    return float(1 / shares.square().sum())


def _entropy_rank(values: Float[Tensor, " k"]) -> float:
    shares = values / values.sum()
    return float(torch.exp(-torch.special.xlogy(shares, shares).sum()))


def chance_cosine(d: int) -> float:
    """E|cos| of two independent uniform directions: Γ(d/2)/(√π Γ((d + 1)/2)).

    Parameters
    ----------
    d
        Dimension.

    Returns
    -------
    float
        About √(2/(πd)).
    """
    return math.exp(math.lgamma(d / 2) - math.lgamma((d + 1) / 2)) / math.sqrt(math.pi)


@dataclass(frozen=True)
class KeyGeometry(OnHost):
    """Orthonormality of a layer's keys, and the spectrum of their second moment.

    Parameters
    ----------
    sizes
        Sizes m of the sets of keys; those that the layer has not, or more than d, are left out.
    draws
        Random sets of each size.
    """

    sizes: tuple[int, ...] = (10, 30, 100, 300, 1000)
    draws: int = 3

    name: ClassVar[str] = "keys"

    def rows(self, folder: Path) -> list[Row]:
        """Measure them.

        Parameters
        ----------
        folder
            Where recorded keys are kept.

        Returns
        -------
        list of dict
            kind "set": `orthonormality` of random sets by draw, of "preserved" keys K0 and of "edited" ones
            (column "of"). kind "spectrum": place k and share λ_k/Σλ of the eigenvalues of C0, with
            participation and entropy_rank of all of them.
        """
        # Each fact once; of orthonormal keys the first d are one set.
        limit = self.shape[1] if self.model == "synthetic" else max(self.sizes)
        memory, stream = self.made(folder, min(max(self.sizes), limit))
        generator = torch.Generator().manual_seed(self.seed)
        rows: list[Row] = []
        for of, keys in (("preserved", stream.preserved), ("edited", stream.own_keys(0, len(stream)))):
            for size in self.sizes:
                if not 2 <= size <= min(keys.shape):
                    continue
                for draw in range(self.draws):
                    chosen = torch.randperm(len(keys), generator=generator)[:size]
                    found = orthonormality(keys[chosen].T)
                    rows.append(_about(self) | {"kind": "set", "of": of, "draw": draw} | found)
        values = torch.linalg.eigvalsh(memory.moment()).flip(0).clamp_min(0)
        ranks = {"participation": participation(values), "entropy_rank": _entropy_rank(values)}
        shares = (values / values.sum()).tolist()
        rows += [
            _about(self)
            | {"kind": "spectrum", "place": k + 1, "share": shares[k], "dimension": len(shares)}
            | ranks
            for k in _places(len(shares))
        ]
        return rows


def _places(count: int) -> list[int]:
    """Places from 0 to count − 1, evenly spread on a logarithmic axis."""
    steps = torch.linspace(0, math.log(count), _POINTS, dtype=torch.float64).exp()
    return sorted({min(count, round(float(step))) - 1 for step in steps})


# ---- Why directions of variance --------------------------------------------------------------------------


@full_precision()
def moment_gradient(
    W: Float[Tensor, "n d"], *, s: float = 1.0
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
    """Gradient of the energy to second order in the cosines: what mean and covariance alone explain.

    HE_s = Σ f(c_ij) with f(c) = (2 − 2c)^(−s/2) ≈ 2^(−s/2)(1 + (s/2)c + (s/4)(s/2 + 1)c²), so that but for a
    constant HE_s ≈ 2^(−s/2)((s/2)‖Σû_i‖² + (s/4)(s/2 + 1)‖ÛᵀÛ‖_F²): the length of the mean direction, and how
    uneven the variances of the directions are. With T_i = I − û_iû_iᵀ the gradients of the two parts are

        (2^(1−s/2)(s/2)/‖w_i‖) T_i Σ_j û_j   and   (2^(1−s/2)(s/2)(s/2 + 1)/‖w_i‖) T_i ÛᵀÛ û_i.

    Parameters
    ----------
    W
        Weights, (n, d), no zero row.
    s
        Exponent, positive. Default 1.

    Returns
    -------
    mean, covariance
        (n, d) each, float64.

    Raises
    ------
    RangeError
        s not positive.
    """
    s = as_real(s, "s", low=0, low_open=True)
    neurons = as_neurons(W)
    norms = neurons.true_norms()[:, None].to(W.device, torch.float64)
    units = W.double() / norms
    factor = 2 ** (1 - s / 2) * (s / 2)
    pulls = units.sum(dim=0).expand_as(units), (s / 2 + 1) * gram_matrix(units) @ units
    mean, covariance = (
        (factor / norms) * (pull - (pull * units).sum(dim=1, keepdim=True) * units) for pull in pulls
    )
    return mean, covariance


def inside(matrix: Float[Tensor, "n d"], space: Subspace) -> float:
    """Share of ‖A‖_F² inside a space: ‖AU‖_F²/‖A‖_F².

    Parameters
    ----------
    matrix
        A, (n, d), not zero.
    space
        With basis U.

    Returns
    -------
    float
        Between 0 and 1.
    """
    basis = torch.as_tensor(space.basis).to(matrix)
    return (frobenius(matrix @ basis) / frobenius(matrix)) ** 2


def overlap(space: Subspace, other: Subspace) -> float:
    """Share of one space inside another: ‖QᵀU‖_F²/r, the mean squared cosine of its principal angles.

    Parameters
    ----------
    space
        With basis U, (d, r).
    other
        With basis Q, (d, q).

    Returns
    -------
    float
        Between 0 and 1; q/d for a random U.
    """
    return inside(torch.as_tensor(space.basis).T, other)


@full_precision()
def rival_spaces(
    W: Float[Tensor, "n d"], gradient: Float[Tensor, "n d"], *, eta: float, seed: int
) -> dict[str, Subspace]:
    """Spaces that SPHERE's could have been, of as many directions, and the mean direction alone.

    Parameters
    ----------
    W
        Weights, (n, d).
    gradient
        ∇HE at W.
    eta
        η of SPHERE's space.
    seed
        Of the random one, which lies in the space of the neurons: every gradient does, if n < d.

    Returns
    -------
    dict of str to Subspace
        By the names of `SPACES`.
    """
    own = principal_space(W, eta=eta)
    rank = own.rank
    mean = (W / torch.linalg.vector_norm(W, dim=1, keepdim=True)).sum(dim=0)
    of_neurons = principal_space(W, eta=1.0).basis
    drawn = random_space(Subspace(torch.zeros((of_neurons.shape[1], rank), dtype=torch.float64)), seed=seed)
    return {
        "principal": own,
        "unit": Subspace(principal_space(W, eta=1.0, rows="unit").basis[:, :rank]),
        "gradient": Subspace(principal_space(gradient, eta=1.0).basis[:, :rank]),
        "mean": Subspace((mean / torch.linalg.vector_norm(mean))[:, None]),
        "random": Subspace(of_neurons @ drawn.basis.to(of_neurons)),
        "bottom": bottom_space(W, rank),
    }


@dataclass(frozen=True)
class EnergyDirections(OnHost):
    """How much of the energy's gradient, and of what edits do to the energy, is in SPHERE's space.

    Parameters
    ----------
    eta, alpha
        Of SPHERE.
    editors
        Whose first batches are measured, each from the pretrained weights.
    batch, batches
        Edits a batch, and batches.
    ridge, l2, threshold
        λ of MEMIT, L2 and threshold of AlphaEdit.
    """

    eta: float = 0.5
    alpha: float = 0.8
    editors: tuple[str, ...] = ("memit-seq", "alphaedit", "ft")
    batch: int = 100
    batches: int = 3
    ridge: float = MINILM_RIDGE
    l2: float = 1.0
    threshold: float = 2e-2

    name: ClassVar[str] = "energy-directions"

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
            kind "gradient": for each of `SPACES` the share of ‖∇HE‖² inside, its rank, of how many directions
            of the neurons' span; and overlap, its own share inside SPHERE's. kind "model": for part "mean",
            "covariance" and "both" of `moment_gradient` the cosine with ∇HE, and the share of ‖·‖² inside
            SPHERE's space. kind "edit": for each editor, draw of a batch and space: change, ΔHE(ΔW) over the
            uniform expectation; edit_inside, share of ‖ΔW‖²; change_inside = ΔHE(ΔWUUᵀ)/ΔHE(ΔW), which may be
            below 0 or above 1; norm_left = ‖ΔWP‖/‖ΔW‖; change_left = |ΔHE(ΔWP)/ΔHE(ΔW)|; and change_shrunk,
            the same for ΔW scaled to ‖ΔWP‖. AlphaEdit is left out where the threshold leaves no null space.
        """
        memory, stream = self.made(folder, self.batch * self.batches)
        W = memory.W.double()
        slope = energy_gradient(W)
        spaces = rival_spaces(W, slope, eta=self.eta, seed=self.seed)
        own = spaces["principal"]
        rows: list[Row] = [
            {
                "kind": "gradient",
                "space": name,
                "rank": space.rank,
                "directions": min(W.shape),
                "share": inside(slope, space),
                "overlap": overlap(space, own),
            }
            for name, space in spaces.items()
        ]
        rows += self._models(W, slope, own)
        for editor, known in self._editors(memory):
            for draw in range(self.batches):
                update = editor.update(known, stream.batch(draw * self.batch, (draw + 1) * self.batch))
                told = {"kind": "edit", "edit": editor.name, "draw": draw}
                rows += [told | effect for effect in self._effects(W, update, spaces)]
        return [_about(self) | row for row in rows]

    def _models(self, W: Tensor, slope: Tensor, own: Subspace) -> Iterator[Row]:
        mean, covariance = moment_gradient(W)
        for part, model in (("mean", mean), ("covariance", covariance), ("both", mean + covariance)):
            cosine = float((model * slope).sum()) / (frobenius(model) * frobenius(slope))
            yield {"kind": "model", "part": part, "cosine": cosine, "share": inside(model, own)}

    def _editors(self, memory: LayerMemory) -> Iterator[tuple[Editor, LayerMemory]]:
        settings = {"ridge": self.ridge, "l2": self.l2, "threshold": self.threshold}
        for name in self.editors:
            known = find_editor(name).record()
            editor = find_editor(name, **{key: value for key, value in settings.items() if key in known})
            if not isinstance(editor, AlphaEdit):
                yield editor, memory
                continue
            with suppress(SingularError):
                yield editor, _with_null_space(memory, null_space(memory, self.threshold))

    def _effects(
        self, W: Tensor, update: LowRankUpdate | Tensor, spaces: Mapping[str, Subspace]
    ) -> Iterator[Row]:
        edit, uniform = dense_tensor(update), uniform_energy(*W.shape)
        change = energy_change(W, edit).change
        for name, space in spaces.items():
            projector = SparseProjector(space, self.alpha)
            kept = projector(edit)
            within = edit - SparseProjector(space, 1.0)(edit)
            shrunk = NormMatchedShrinkage(projector)(edit)
            yield {
                "space": name,
                "change": change / uniform,
                "edit_inside": (edit_norm(within) / edit_norm(edit)) ** 2,
                "change_inside": energy_change(W, within).change / change,
                "norm_left": edit_norm(kept) / edit_norm(edit),
                "change_left": abs(energy_change(W, kept).change / change),
                "change_shrunk": abs(energy_change(W, shrunk).change / change),
            }


def _with_null_space(memory: LayerMemory, space: Float[Tensor, "d q"]) -> LayerMemory:
    """The layer with what AlphaEdit would make for every first batch anew."""
    return LayerMemory(memory.weight, memory.second_moment, memory.samples, state={"null_space": space})


# ---- SPHERE's space and AlphaEdit's ----------------------------------------------------------------------


@dataclass(frozen=True)
class SpaceOverlap(OnHost):
    """How much of SPHERE's space lies in the null space that AlphaEdit edits in.

    Parameters
    ----------
    eta
        Of SPHERE's space.
    thresholds
        Of AlphaEdit; the released one is 2e-2.
    l2
        Of AlphaEdit.
    ridge
        λ of MEMIT, beside it.
    batch, batches
        Edits a batch, and batches, each from the pretrained weights.
    """

    eta: float = 0.5
    thresholds: tuple[float, ...] = (2e-3, 2e-2, 2e-1)
    l2: float = 1.0
    ridge: float = MINILM_RIDGE
    batch: int = 100
    batches: int = 3

    name: ClassVar[str] = "space-overlap"

    @full_precision()
    def rows(self, folder: Path) -> list[Row]:
        """Measure it.

        Parameters
        ----------
        folder
            Where recorded keys are kept.

        Returns
        -------
        list of dict
            kind "curve": with Q the q eigenvectors of C0 with the smallest eigenvalues, kept = q, chance =
            q/d and inside = ‖QᵀU‖²/r, for q from 1 to d. kind "threshold": the same at each threshold (0 for
            an empty null space). kind "edit": edit_inside = ‖ΔWU‖²/‖ΔW‖² by draw of a batch, of "alphaedit"
            at each threshold and of "memit-seq", beside chance: inside·r/q for an edit anywhere in the null
            space, r/d for one anywhere.
        """
        memory, stream = self.made(folder, self.batch * self.batches)
        U = principal_space(memory.W.double(), eta=self.eta)
        values, vectors = torch.linalg.eigh(memory.moment())
        d, rank = len(values), U.rank
        within = (vectors.T @ U.basis).square().sum(dim=1).cumsum(dim=0) / rank
        known = _about(self) | {"rank": rank, "dimension": d}
        curve = sorted({max(1, round(d * k / _POINTS)) for k in range(_POINTS + 1)})
        rows = [self._at(within, q) | {"kind": "curve"} for q in curve]
        memit = find_editor("memit-seq", ridge=self.ridge)
        rows += self._edits(memit, memory, stream, U, {"chance": rank / d})
        for threshold in self.thresholds:
            at = self._at(within, int((values < threshold).sum())) | {"threshold": threshold}
            rows.append(at | {"kind": "threshold"})
            if at["kept"]:
                editor = AlphaEdit(self.l2, threshold)
                chance = {"threshold": threshold, "chance": at["inside"] * rank / at["kept"]}
                ready = _with_null_space(memory, vectors[:, : at["kept"]].contiguous())
                rows += self._edits(editor, ready, stream, U, chance)
        return [known | row for row in rows]

    @staticmethod
    def _at(within: Tensor, kept: int) -> Row:
        return {
            "kept": kept,
            "chance": kept / len(within),
            "inside": float(within[kept - 1]) if kept else 0.0,
        }

    def _edits(
        self, editor: Editor, memory: LayerMemory, stream: EditStream, U: Subspace, told: Row
    ) -> Iterator[Row]:
        for draw in range(self.batches):
            batch = stream.batch(draw * self.batch, (draw + 1) * self.batch)
            share = inside(dense_tensor(editor.update(memory, batch)), U)
            yield {"kind": "edit", "edit": editor.name, "draw": draw, "edit_inside": share} | told


# ---- What to run -----------------------------------------------------------------------------------------

# Synthetic keys: the theorem's own hypothesis, independent keys, and ever less even ones.
_SOURCES = (("orthonormal", "flat"), ("gaussian", "flat"), ("gaussian", "power"), ("clustered", "power"))

# The least eigenvalue of C0 is about a tenth of the mean: the released threshold leaves no null space.
_THRESHOLDS = (0.2, 0.5)


def tasks(quick: bool) -> list[OnHost]:
    """Everything that the figures of these questions are drawn from.

    Parameters
    ----------
    quick
        MiniLM's layer 3 alone with one batch of edits, and a smaller synthetic layer.

    Returns
    -------
    list
        Some `KeyGeometry`, `EnergyDirections` and `SpaceOverlap`: of all real layers, with three draws of
        keys and batches each; of synthetic ones on three seeds.
    """
    found: list[OnHost] = []
    for layer in (3,) if quick else range(MINILM_LAYERS):
        found += [
            KeyGeometry(layer=layer),
            EnergyDirections(layer=layer, batches=1 if quick else 2),  # costly; layers are draws too
            SpaceOverlap(layer=layer, batches=1 if quick else 3),
        ]
    made: dict[str, Any] = {"model": "synthetic", "shape": (96, 384) if quick else _SYNTHETIC}
    for seed in range(3):
        drawn = made | {"seed": seed}
        uneven = drawn | {"source": "gaussian", "spectrum": "power", "batches": 1}
        for source, spectrum in _SOURCES:
            found.append(KeyGeometry(**drawn, source=source, spectrum=spectrum, draws=1))
        found.append(EnergyDirections(**uneven, threshold=max(_THRESHOLDS)))
        found.append(SpaceOverlap(**uneven, thresholds=_THRESHOLDS))
    return found
