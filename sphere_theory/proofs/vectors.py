"""Vectors known only by their inner products, so that what is shown holds in every dimension d.

A vector is a column of coefficients over a few generators; the Gram matrix of the generators holds
symbols for what is free and numbers for what is known (1 for a unit vector, 0 for a right angle).
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp


@dataclass(frozen=True)
class Span:
    """The space spanned by generators whose Gram matrix is `gram`.

    Parameters
    ----------
    gram
        Symmetric matrix of inner products of the generators.
    """

    gram: sp.Matrix

    def generators(self) -> list[sp.Matrix]:
        """Return the generators, as columns of coefficients."""
        eye = sp.eye(self.gram.rows)
        return [eye.col(k) for k in range(self.gram.rows)]

    def dot(self, u: sp.Matrix, v: sp.Matrix) -> sp.Expr:
        """Return ⟨u, v⟩."""
        return sp.expand((u.T * self.gram * v)[0])

    def square(self, u: sp.Matrix) -> sp.Expr:
        """Return ‖u‖²."""
        return self.dot(u, u)
