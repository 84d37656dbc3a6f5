"""Matrices of any size as letters that do not commute.

An identity between words, under rules such as UᵀU → 1, holds for matrices of every size that the
product is defined for: this is how a step can say "all n, d, r". The number 1 stands for whichever
identity matrix fits its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy as sp

Word = tuple[sp.Symbol, ...]


def letter(name: str) -> sp.Symbol:
    """Return a matrix of unspecified shape."""
    return sp.Symbol(name, commutative=False)


def with_transpose(name: str) -> tuple[sp.Symbol, sp.Symbol]:
    """Return a matrix and its transpose."""
    return letter(name), letter(f"{name}ᵀ")


@dataclass(frozen=True)
class Algebra:
    """Words with rewriting rules, and a transpose.

    Parameters
    ----------
    rules
        Pairs (word, what it is replaced by). Every rule must shorten, or lead to letters that no
        rule has, so that rewriting ends.
    symmetric
        Letters that are their own transpose.
    """

    rules: tuple[tuple[Word, sp.Expr], ...] = ()
    symmetric: frozenset[sp.Symbol] = frozenset()

    def normal(self, expr: sp.Expr) -> sp.Expr:
        """Expand, then rewrite until no rule applies."""
        return sp.Add(*(self._reduce(scalar, word) for scalar, word in _terms(expr)))

    def _reduce(self, scalar: sp.Expr, word: Word) -> sp.Expr:
        for pattern, replacement in self.rules:
            for start in range(len(word) - len(pattern) + 1):
                stop = start + len(pattern)
                if word[start:stop] == pattern:
                    rewritten = scalar * sp.Mul(*word[:start]) * replacement * sp.Mul(*word[stop:])
                    return self.normal(rewritten)
        return sp.expand(scalar) * sp.Mul(*word)

    def equal(self, left: sp.Expr, right: sp.Expr) -> bool:
        """Whether both sides have one normal form: for each word, scalars that agree."""
        scalars: dict[Word, sp.Expr] = {}
        for scalar, word in _terms(self.normal(left - right)):
            scalars[word] = scalars.get(word, sp.Integer(0)) + scalar
        return all(sp.simplify(scalar) == 0 for scalar in scalars.values())

    def transpose(self, expr: sp.Expr) -> sp.Expr:
        """Reverse every word and transpose its letters."""
        return sp.Add(*(scalar * sp.Mul(*map(self._flip, reversed(word))) for scalar, word in _terms(expr)))

    def _flip(self, symbol: sp.Symbol) -> sp.Symbol:
        if symbol in self.symmetric:
            return symbol
        name = symbol.name
        return letter(name[:-1] if name.endswith("ᵀ") else f"{name}ᵀ")

    def gram(self, expr: sp.Expr) -> sp.Expr:
        """Return A·Aᵀ in normal form; its trace is ‖A‖_F²."""
        return self.normal(expr * self.transpose(expr))


def _terms(expr: sp.Expr) -> Iterator[tuple[sp.Expr, Word]]:
    """Split a sum into (scalar, word), powers written out."""
    for term in sp.Add.make_args(sp.expand(expr)):
        scalars, factors = term.args_cnc()
        powers = (factor.as_base_exp() for factor in factors)
        word = tuple(base for base, power in powers for _ in range(int(power)))
        yield sp.Mul(*scalars), word
