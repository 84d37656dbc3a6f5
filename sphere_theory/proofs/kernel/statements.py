"""What the kernel proves, beside the ledger's wording: the one place that page, tests and docs print from.

Every text in Coq below is handed to the kernel together with the proof: a definition that reads otherwise in
`definitions.v`, or a theorem that says something else, makes the check fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

FOLDER = Path(__file__).parent
LIBRARY = "SphereTheory"  # the name under which the files require each other

# In the order in which they are compiled: each uses those before it.
FILES = (
    "definitions",
    "sums",
    "pair",
    "sphere",
    "energy",
    "gradient",
    "unconditional",
    "enclosure",
    "edit_free",
)


@dataclass(frozen=True)
class KernelTheorem:
    """One theorem, in the ledger's mathematics and in Coq.

    Parameters
    ----------
    name
        Of the theorem in its file.
    file
        Without its suffix.
    mathematics
        What it says, in the ledger's symbols.
    text
        The same in Coq, closed: nothing is assumed but what stands in it.
    """

    name: str
    file: str
    mathematics: str
    text: str


@dataclass(frozen=True)
class KernelProof:
    """What the kernel proves of one claim.

    Parameters
    ----------
    hypotheses
        Those of all its theorems, in the ledger's symbols.
    theorems
        In the order in which they are read.
    """

    hypotheses: str
    theorems: tuple[KernelTheorem, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the .v files that hold its theorems."""
        return tuple(dict.fromkeys(f"{theorem.file}.v" for theorem in self.theorems))


_FOR_ALL = "forall (n d : nat) (s : R), 0 <= s ->\nforall "
_SOUND = "sound n d W -> sound n d (plus W Delta) ->\n"
_EDIT = f"{_FOR_ALL}(W Delta : matrix), {_SOUND}"
_EDIT_AND_INPUTS = f"{_FOR_ALL}(W Delta : matrix) (m : nat) (X : matrix) (sigma : R), {_SOUND}"
_CHANGE = "HE n d s (plus W Delta) - HE n d s W"
_PAIRS = "(forall i j, (i < n)%nat -> (j < n)%nat -> i <> j -> 0 < "

E2 = KernelProof(
    "any n, d, ΔW and real s; W has no zero row and no two neurons in one direction; f = 2s, and 2 at s = 0",
    (
        KernelTheorem(
            "E2_gradient",
            "gradient",
            "d/dt HE_s(W + tΔW) = ⟨∇HE_s(W), ΔW⟩ at t = 0, "
            "∂HE_s/∂w_i = (f/‖w_i‖) Σ_{j≠i} (û_j − c_ij û_i) D_ij^(−s−2)",
            "forall (n d : nat) (s : R),\nforall (W Delta : matrix), sound n d W ->\nderivable_pt_lim "
            "(fun t => HE n d s (plus W (scaled t Delta))) 0 (inner n d (gradient n d s W) Delta)",
        ),
        KernelTheorem(
            "E2_tangent",
            "gradient",
            "⟨w_i, ∂HE_s/∂w_i⟩ = 0",
            "forall (n d : nat) (s : R),\nforall (W : matrix) (i : nat), sound n d W -> (i < n)%nat ->\n"
            "dot d (W i) (gradient n d s W i) = 0",
        ),
    ),
)

B8 = KernelProof(
    "any n, d and s ≥ 0; neither W nor Ŵ = W + ΔW has a zero row or two neurons in one direction; "
    "f = 2s, and 2 at s = 0",
    (
        KernelTheorem(
            "B8_two_sided",
            "unconditional",
            "−Σ_i f δ_i Σ_{j≠i} h(θ_ij) ≤ ΔHE_s ≤ Σ_i f δ_i Σ_{j≠i} h(θ̂_ij), θ̂ the angles of Ŵ",
            f"{_EDIT}- sum n (fun i => factor s * delta d W Delta i * pull n d s W i)\n<= {_CHANGE} <=\n"
            "sum n (fun i => factor s * delta d W Delta i * pull n d s (plus W Delta) i)",
        ),
        KernelTheorem(
            "B8_angles",
            "unconditional",
            "|ΔHE_s| ≤ Σ_i f δ_i Σ_{j≠i} h(θ*_ij)",
            f"{_EDIT}Rabs ({_CHANGE}) <=\n"
            "sum n (fun i => factor s * delta d W Delta i * pull n d s (higher n d s W Delta) i)",
        ),
        KernelTheorem(
            "B8_sharper",
            "unconditional",
            "|ΔHE_s| ≤ Σ_i f (1 − e^(−δ_i)) Σ_{j≠i} h(θ*_ij), sharper since 1 − e^(−δ) ≤ δ",
            f"{_EDIT}Rabs ({_CHANGE}) <=\nsum n (fun i => "
            "factor s * (1 - exp (- delta d W Delta i)) * pull n d s (higher n d s W Delta) i)",
        ),
        KernelTheorem(
            "B8_constant",
            "unconditional",
            "|ΔHE_s| ≤ K* ‖ΔW‖_F",
            f"{_EDIT}Rabs ({_CHANGE}) <=\nK n d s W Delta * frobenius n d Delta",
        ),
        KernelTheorem(
            "B8_outputs_rows",
            "unconditional",
            "σ²‖Δw_i‖² ≤ ‖XᵀΔw_i‖² for every row of ΔW  ⇒  σ² (ΔHE_s)² ≤ K*² ‖ΔW X‖_F²",
            f"{_EDIT_AND_INPUTS}(forall i, (i < n)%nat -> "
            "sigma ^ 2 * norm d (Delta i) ^ 2 <= norm m (seen d X (Delta i)) ^ 2) ->\n"
            f"sigma ^ 2 * ({_CHANGE}) ^ 2 <=\nK n d s W Delta ^ 2 * frobenius n m (times d Delta X) ^ 2",
        ),
        KernelTheorem(
            "B8_outputs",
            "unconditional",
            "X Xᵀ ⪰ σ²I on the row space of ΔW  ⇒  ‖ΔW X‖_F² ≥ σ² (ΔHE_s/K*)²  (K* = 0 only where ΔHE_s = 0)",
            f"{_EDIT_AND_INPUTS}"
            "(forall v, row_space n d Delta v -> sigma ^ 2 * norm d v ^ 2 <= norm m (seen d X v) ^ 2) ->\n"
            f"sigma ^ 2 * (({_CHANGE}) / K n d s W Delta) ^ 2 <=\nfrobenius n m (times d Delta X) ^ 2",
        ),
    ),
)

B9 = KernelProof(
    "any n, d and s ≥ 0; neither W nor Ŵ = W + ΔW has a zero row; every φ_ij = θ_ij − δ_i − δ_j > 0, i ≠ j "
    "(so that δ_i < π where it matters, and no two neurons meet)",
    (
        KernelTheorem(
            "B9_remainder",
            "enclosure",
            "|ΔHE_s − Σ_i δ_i⟨G_i, τ_i⟩| ≤ ½ Σ_{i≠j} q(φ_ij)(δ_i + δ_j)²",
            f"{_FOR_ALL}(W Delta : matrix),\n"
            "(forall i, (i < n)%nat -> 0 < norm d (W i) /\\ 0 < norm d (plus W Delta i)) ->\n"
            f"{_PAIRS}phi d W Delta i j) ->\n"
            f"Rabs ({_CHANGE} - "
            "sum n (fun i => delta d W Delta i * dot d (G n d s W i) (tau d W Delta i))) <=\n"
            "/ 2 * sum n (fun i => others n i (fun j => "
            "q s (phi d W Delta i j) * (delta d W Delta i + delta d W Delta j) ^ 2))",
        ),
    ),
)

B10 = KernelProof(
    "any n, d and s ≥ 0; 0 < ρ < m ≤ every ‖w_i‖ (the ledger's m is the smallest of them), x = ρ/m; "
    "‖ΔW‖_F ≤ ρ; every ψ_ij = θ_ij − κ(x)ρ√(‖w_i‖^(−2) + ‖w_j‖^(−2)) > 0, i ≠ j; nothing is asked of Ŵ",
    (
        KernelTheorem(
            "B10_edit_free",
            "edit_free",
            "|ΔHE_s| ≤ κ K_grad ρ + 2κ²ρ²Q(ρ), κ = κ(x)",
            f"{_FOR_ALL}(W Delta : matrix) (m rho : R),\n"
            "0 < rho < m -> (forall i, (i < n)%nat -> m <= norm d (W i)) -> frobenius n d Delta <= rho ->\n"
            f"{_PAIRS}psi d W (kappa (rho / m) * rho) i j) ->\nRabs ({_CHANGE}) <=\n"
            "kappa (rho / m) * K_gradient n d s W * rho + "
            "2 * kappa (rho / m) ^ 2 * rho ^ 2 * Q n d s W (kappa (rho / m) * rho)",
        ),
    ),
)

# In the order in which they are read.
KERNEL_PROOFS: Mapping[str, KernelProof] = MappingProxyType({"E2": E2, "B8": B8, "B9": B9, "B10": B10})
