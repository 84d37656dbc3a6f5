"""The notions of the ledger, symbol by symbol, with the definition in Coq that the kernel is given."""

from __future__ import annotations

from dataclasses import dataclass


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
    Symbol(
        "largest",
        "max_{i<n}",
        "of n terms and 0",
        "fix largest n f := match n with O => 0 | S m => Rmax (largest m f) (f m) end",
    ),
    Symbol("vec", "u, v", "entry k of a vector, k < d", "nat -> R"),
    Symbol("matrix", "W, ΔW, X", "W i k is the entry of row i and column k", "nat -> nat -> R"),
    Symbol("plus", "Ŵ = W + ΔW", "entry by entry", "fun W Delta i k => W i k + Delta i k"),
    Symbol("scaled", "t ΔW", "entry by entry", "fun t A i k => t * A i k"),
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
        "q",
        "q(φ)",
        "(f/2) d^(−s−2) (1 + (s + 2)cos²(φ/2)) with d = 2 sin(φ/2)",
        "fun s x => factor s / 2 * Rpower (2 * sin (x / 2)) (- s - 2) * (1 + (s + 2) * cos (x / 2) ^ 2)",
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
        "inner", "⟨A, B⟩", "of matrices, entry by entry", "fun n d A B => sum n (fun i => dot d (A i) (B i))"
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
    Symbol(
        "gradient",
        "∂HE_s/∂w_i",
        "(f/‖w_i‖) Σ_{j≠i} (û_j − c_ij û_i) D_ij^(−s−2), as E2 has it",
        "fun n d s W i k => factor s / norm d (W i) * others n i (fun j =>\n(unit_row d W j k - "
        "dot d (unit_row d W i) (unit_row d W j) * unit_row d W i k) * Rpower (D d W i j) (- s - 2))",
    ),
    Symbol("G", "G_i", "‖w_i‖ ∂HE_s/∂w_i", "fun n d s W i k => norm d (W i) * gradient n d s W i k"),
    Symbol(
        "tau",
        "τ_i",
        "unit tangent at û_i towards the direction of ŵ_i; of no account where δ_i = 0",
        "fun d W Delta i k => (unit_row d (plus W Delta) i k - cos (delta d W Delta i) * unit_row d W i k) "
        "/ sin (delta d W Delta i)",
    ),
    Symbol(
        "phi",
        "φ_ij",
        "θ_ij − δ_i − δ_j",
        "fun d W Delta i j => theta d W i j - delta d W Delta i - delta d W Delta j",
    ),
    Symbol("K_gradient", "K_grad", "‖∇HE_s(W)‖_F", "fun n d s W => frobenius n d (gradient n d s W)"),
    Symbol("kappa", "κ", "arcsin(x)/x", "fun x => asin x / x"),
    Symbol(
        "psi",
        "ψ_ij",
        "θ_ij − t√(‖w_i‖^(−2) + ‖w_j‖^(−2)), for t = κρ",
        "fun d W t i j => theta d W i j - t * sqrt (/ norm d (W i) ^ 2 + / norm d (W j) ^ 2)",
    ),
    Symbol(
        "Q",
        "Q(ρ)",
        "max_i ‖w_i‖^(−2) Σ_{j≠i} q(ψ_ij), for t = κρ",
        "fun n d s W t => largest n (fun i => "
        "/ norm d (W i) ^ 2 * others n i (fun j => q s (psi d W t i j)))",
    ),
)
