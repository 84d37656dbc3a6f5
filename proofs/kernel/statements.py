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
FILES = ("definitions", "sums", "pair", "sphere", "energy", "unconditional")


@dataclass(frozen=True)
class Symbol:
    """A notion of the ledger and its definition in Coq.

    Parameters
    ----------
    name
        In `definitions.v`.
    ledger
        The symbol that the ledger writes.
    words
        Its definition, for a person.
    text
        Its definition in Coq, closed: n rows, d columns and s are arguments.
    """

    name: str
    ledger: str
    words: str
    text: str


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


SYMBOLS = (
    Symbol(
        "sum",
        "Σ_{i<n}",
        "n terms, numbered from 0",
        "fix sum n f := match n with O => 0 | S m => sum m f + f m end",
    ),
    Symbol(
        "others",
        "Σ_{j≠i}",
        "all of the n terms but the i-th",
        "fun n i f => sum n (fun j => if Nat.eq_dec i j then 0 else f j)",
    ),
    Symbol("matrix", "W, ΔW, X", "W i k is the entry of row i and column k", "nat -> nat -> R"),
    Symbol("plus", "Ŵ = W + ΔW", "entry by entry", "fun W Delta i k => W i k + Delta i k"),
    Symbol("dot", "⟨u, v⟩", "of vectors of dimension d", "fun d u v => sum d (fun k => u k * v k)"),
    Symbol("norm", "‖u‖", "root of ⟨u, u⟩", "fun d u => sqrt (dot d u u)"),
    Symbol("direction", "w/‖w‖", "a vector over its length", "fun d w k => w k / norm d w"),
    Symbol("chord", "‖u − v‖", "length of a difference", "fun d u v => norm d (fun k => u k - v k)"),
    Symbol("angle", "∠(u, v)", "arc cosine of ⟨u, v⟩, for unit vectors", "fun d u v => acos (dot d u v)"),
    Symbol("unit_row", "û_i", "direction of row i", "fun d W i => direction d (W i)"),
    Symbol(
        "D",
        "D_ij",
        "chordal distance of two directions",
        "fun d W i j => chord d (unit_row d W i) (unit_row d W j)",
    ),
    Symbol(
        "theta",
        "θ_ij",
        "angle of two directions; D_ij = 2 sin(θ_ij/2) is a lemma",
        "fun d W i j => angle d (unit_row d W i) (unit_row d W j)",
    ),
    Symbol(
        "delta",
        "δ_i",
        "angle between w_i and ŵ_i",
        "fun d W Delta i => angle d (unit_row d W i) (unit_row d (plus W Delta) i)",
    ),
    Symbol(
        "potential",
        "D^(−s), ln(1/D)",
        "what a pair adds to the energy: the first for s ≠ 0, the second at s = 0",
        "fun s D => if Req_EM_T s 0 then ln (1 / D) else Rpower D (- s)",
    ),
    Symbol("factor", "f", "2s, and 2 at s = 0", "fun s => if Req_EM_T s 0 then 2 else 2 * s"),
    Symbol(
        "h",
        "h(θ)",
        "D^(−s−1) cos(θ/2) with D = 2 sin(θ/2)",
        "fun s x => Rpower (2 * sin (x / 2)) (- s - 1) * cos (x / 2)",
    ),
    Symbol(
        "HE",
        "HE_s(W)",
        "Σ_{i≠j} D_ij^(−s), Σ_{i≠j} ln(1/D_ij) at s = 0; ordered pairs",
        "fun n d s W => sum n (fun i => others n i (fun j => potential s (D d W i j)))",
    ),
    Symbol(
        "sound",
        "no zero row, no coincident neurons",
        "every ‖w_i‖ > 0 and every D_ij > 0, i ≠ j",
        "fun n d W => (forall i, (i < n)%nat -> 0 < norm d (W i)) /\\\n"
        "(forall i j, (i < n)%nat -> (j < n)%nat -> i <> j -> 0 < D d W i j)",
    ),
    Symbol(
        "frobenius",
        "‖A‖_F",
        "of n rows and m columns",
        "fun n m A => sqrt (sum n (fun i => dot m (A i) (A i)))",
    ),
    Symbol(
        "seen",
        "Xᵀv",
        "inner products of v with the columns of X",
        "fun d X v l => sum d (fun k => v k * X k l)",
    ),
    Symbol("times", "ΔW X", "row i is Xᵀ Δw_i", "fun d A X i => seen d X (A i)"),
    Symbol(
        "row_space",
        "row space of ΔW",
        "all combinations Σ_i c_i Δw_i",
        "fun n d A v => exists c, forall k, (k < d)%nat -> v k = sum n (fun i => c i * A i k)",
    ),
    Symbol(
        "pull",
        "Σ_{j≠i} h(θ_ij)",
        "at the angles of the matrix given",
        "fun n d s W i => others n i (fun j => h s (theta d W i j))",
    ),
    Symbol(
        "higher",
        "the end with the larger energy",
        "Ŵ if HE_s(W) ≤ HE_s(Ŵ), else W; θ* are its angles",
        "fun n d s W Delta => if Rle_dec (HE n d s W) (HE n d s (plus W Delta)) then plus W Delta else W",
    ),
    Symbol(
        "K",
        "K*",
        "√ Σ_i [(f/max(‖w_i‖, ‖ŵ_i‖)) Σ_{j≠i} h(θ*_ij)]²",
        "fun n d s W Delta => sqrt (sum n (fun i =>\n(factor s / Rmax (norm d (W i)) "
        "(norm d (plus W Delta i)) * pull n d s (higher n d s W Delta) i) ^ 2))",
    ),
)

_FOR_ALL = "forall (n d : nat) (s : R), 0 <= s ->\nforall {}, sound n d W -> sound n d (plus W Delta) ->\n"
_EDIT = _FOR_ALL.format("(W Delta : matrix)")
_EDIT_AND_INPUTS = _FOR_ALL.format("(W Delta : matrix) (m : nat) (X : matrix) (sigma : R)")
_CHANGE = "HE n d s (plus W Delta) - HE n d s W"

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

KERNEL_PROOFS: Mapping[str, KernelProof] = MappingProxyType({"B8": B8})
