"""M3: which energy a rotation on the left, or on the right, preserves."""

from __future__ import annotations

import sympy as sp

from .e1_invariance import ROTATION, STRETCHED
from .exact import energy
from .noncommutative import Algebra, with_transpose
from .proof import Counterexample, Proof, Step, equal

W, Wt = with_transpose("W")
R, Rt = with_transpose("R")
ORTHOGONAL = Algebra(rules=(((Rt, R), sp.Integer(1)), ((R, Rt), sp.Integer(1))))


def prove() -> Proof:
    """Prove what R W and W R preserve, and refute the other two."""
    return Proof(
        id="M3",
        title="R W preserves column energy, W R preserves row energy",
        theorem=(
            "Let R be orthogonal. HE_s of the columns of R W is that of W, HE_s of the rows of W R is that "
            "of W. Neither holds with rows and columns exchanged."
        ),
        steps=(
            Step("Columns of R W", "(R W)ᵀ(R W) = Wᵀ RᵀR W = WᵀW", "all n, d, s", _left),
            Step("Rows of W R", "(W R)(W R)ᵀ = W RRᵀ Wᵀ = W Wᵀ", "all n, d, s", _right),
            Step(
                "Rows of R W",
                "W = diag(4, 3), R by 45°: row energy √2 → 5/3, column energy √2 → √2",
                "exact, n = d = 2, s = 1",
                _left_rows,
            ),
            Step(
                "Columns of W R",
                "the transpose of the same: column energy √2 → 5/3, row energy √2 → √2",
                "exact, n = d = 2, s = 1",
                _right_columns,
            ),
        ),
        conclusion=(
            "The energy of vectors is a function of their Gram matrix (E1): WᵀW for columns, W Wᵀ for rows. "
            "In v = W k with one neuron a row, it is the right rotation that preserves the neurons' energy."
        ),
        counterexamples=(
            Counterexample(
                refutes="R W preserves row energy",
                W=STRETCHED,
                delta=ROTATION * STRETCHED - STRETCHED,
                values=(("HE(W)", energy(STRETCHED)), ("HE(R W)", sp.simplify(energy(ROTATION * STRETCHED)))),
            ),
            Counterexample(
                refutes="W R preserves column energy",
                W=STRETCHED,
                delta=STRETCHED * ROTATION.T - STRETCHED,
                values=(
                    ("HE(Wᵀ)", energy(STRETCHED.T)),
                    ("HE((W R)ᵀ)", sp.simplify(energy(ROTATION * STRETCHED.T))),
                ),
            ),
        ),
    )


def _left() -> bool:
    moved = R * W
    return ORTHOGONAL.equal(ORTHOGONAL.transpose(moved) * moved, Wt * W)


def _right() -> bool:
    return ORTHOGONAL.equal(ORTHOGONAL.gram(W * R), W * Wt)


def _energies(matrix: sp.Matrix, rows: sp.Expr, columns: sp.Expr) -> bool:
    return equal(energy(matrix), rows) and equal(energy(matrix.T), columns)


def _left_rows() -> bool:
    before = _energies(STRETCHED, sp.sqrt(2), sp.sqrt(2))
    return before and _energies(ROTATION * STRETCHED, sp.Rational(5, 3), sp.sqrt(2))


def _right_columns() -> bool:
    return _energies(STRETCHED * ROTATION.T, sp.sqrt(2), sp.Rational(5, 3))
