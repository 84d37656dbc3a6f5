"""O5: the paper's rank rule and the released one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

import sympy as sp

from .exact import norm
from .proof import Counterexample, Proof, Step

LESS, TIE, MORE = -1, 0, 1  # a cumulative share against η
Signs = tuple[int, ...]
TIED = sp.ImmutableMatrix([[1, 0], [0, 1]])
UNEQUAL = sp.ImmutableMatrix(sp.diag(9, 1, 1, 1, 1))


def prove() -> Proof:
    """Prove that the two rules differ by the number of ties S_k = η."""
    return Proof(
        id="O5",
        title="Two rank rules",
        theorem=(
            "Let S_1 ≤ … ≤ S_d = 1 be the cumulative eigenvalue shares of one spectrum and 0 < η ≤ 1. The "
            "paper's counting rule is min{r : S_r ≥ η}, the released one #{k : S_k ≤ η} + 1. On that one "
            "spectrum they differ by #{k : S_k = η}: by 0 without a tie, by 1 at a tie with η < 1; at η = 1 "
            "the released rank is d + 1, one more than there are columns. Raw rows (the paper's) and unit "
            "rows (the released code's) have two spectra, and there is no bound of the difference of their "
            "ranks but d − 1."
        ),
        steps=(
            Step(
                "The paper's rule as a count",
                "min{r : S_r ≥ η} = #{k : S_k < η} + 1",
                "every order of shares around η, d ≤ 8 (shares below η come first, for every d)",
                _as_count,
            ),
            Step("One share", "[x ≤ η] − [x < η] = [x = η]", "all real x, η", _one_share),
            Step(
                "Their difference",
                "released − paper = #{k : S_k = η}",
                "every order of shares around η, d ≤ 8 (a sum of the step before, for every d)",
                _difference,
            ),
            Step(
                "At most one tie below 1",
                "S_k = S_{k+1}  ⇒  λ_{k+1} = 0  ⇒  λ_j = 0 for j > k  ⇒  S_k = 1",
                "every spectrum over {3, 2, 1, 0} with d ≤ 5",
                _one_tie,
            ),
            Step(
                "η = 1",
                "S_k ≤ 1 for every k, so the released rank is d + 1; the paper's is the rank of W",
                "every spectrum over {3, 2, 1, 0} with d ≤ 5",
                _eta_one,
            ),
            Step(
                "Exact tie",
                "W = I_2: shares 1/2, 1. At η = 1/2: paper 1, released 2. At η = 1: paper 2, released 3 > d",
                "exact, n = d = 2",
                _tie,
            ),
            Step(
                "Two spectra",
                "W = diag(9, 1, 1, 1, 1), η = ½, no tie: raw rows have shares 81/85, …, rank 1 by either "
                "rule; unit rows have 1/5, …, rank 3 by either rule",
                "exact, n = d = 5",
                _two_spectra,
            ),
            Step(
                "As far apart as can be",
                "diag(x, 1, …, 1), η = 1 − 1/(2d), x² ≥ 2d²: raw rank 1, unit rank d",
                "d = 2, …, 8, at x = 2d",
                _far_apart,
            ),
        ),
        conclusion=(
            "Without an exact tie the two counts agree on one spectrum; what differs on real weights is the "
            "matrix, because the released code normalises the rows and reads the current weights. The ranks "
            "of the two then differ by as much as the row norms make them. When W has rank ρ < d, η = 1 "
            "makes the gap d + 1 − ρ, not one. In floating point the last share may miss 1 by rounding, and "
            "with it the overflow: η = 1 has to be handled by hand."
        ),
        counterexamples=(
            Counterexample(
                refutes="the two rank rules agree",
                W=TIED,
                delta=sp.ImmutableMatrix(sp.zeros(2)),
                values=(
                    ("η", sp.Rational(1, 2)),
                    ("paper's rank", sp.Integer(1)),
                    ("released rank", sp.Integer(2)),
                ),
            ),
            Counterexample(
                refutes="raw and unit rows give ranks that differ by at most one",
                W=UNEQUAL,
                delta=sp.ImmutableMatrix(sp.zeros(5)),
                values=(
                    ("η", sp.Rational(1, 2)),
                    ("rank, raw rows", sp.Integer(1)),
                    ("rank, unit rows", sp.Integer(3)),
                ),
            ),
        ),
    )


def _paper_rank(shares: Sequence[sp.Expr], eta: sp.Expr) -> int:
    """Return the smallest r with S_r ≥ η."""
    return next(r for r, share in enumerate(shares, 1) if share >= eta)


def _released_rank(shares: Sequence[sp.Expr], eta: sp.Expr) -> int:
    """Return the count of S_k ≤ η, plus one."""
    return sum(bool(share <= eta) for share in shares) + 1


def _shares_of(eigenvalues: Sequence[sp.Expr]) -> list[sp.Expr]:
    """Return the cumulative shares of eigenvalues in descending order."""
    total = sp.Add(*eigenvalues)
    return [part / total for part in accumulate(eigenvalues)]


def _orders(d: int) -> Iterator[Signs]:
    """Every way in which S_1 ≤ … ≤ S_d can lie around η when S_d ≥ η."""
    for below in range(d):
        for ties in range(d - below + 1):
            yield (LESS,) * below + (TIE,) * ties + (MORE,) * (d - below - ties)


def _every_order() -> Iterator[Signs]:
    return (order for d in range(1, 9) for order in _orders(d))


def _as_count() -> bool:
    return all(_paper_rank(order, TIE) == order.count(LESS) + 1 for order in _every_order())


def _one_share() -> bool:
    gap = sp.Symbol("gap", real=True)  # x − η

    def indicator(condition: sp.Basic) -> sp.Expr:
        return sp.Piecewise((1, condition), (0, True))

    left = indicator(gap <= 0) - indicator(gap < 0)
    positive, negative = sp.Symbol("p", positive=True), sp.Symbol("m", negative=True)
    cases = (
        left.subs(gap, x) - indicator(sp.Eq(gap, 0)).subs(gap, x) for x in (positive, negative, sp.Integer(0))
    )
    return all(case == 0 for case in cases)


def _difference() -> bool:
    return all(_released_rank(o, TIE) - _paper_rank(o, TIE) == o.count(TIE) for o in _every_order())


def _spectra() -> Iterator[list[sp.Expr]]:
    """Every descending spectrum over {3, 2, 1, 0} with at most five eigenvalues, not all zero."""
    for d in range(1, 6):
        for indices in sp.utilities.iterables.multiset_combinations([3, 2, 1, 0] * d, d):
            spectrum = sorted(map(sp.Integer, indices), reverse=True)
            if spectrum[0]:
                yield spectrum


def _one_tie() -> bool:
    return all(
        all(share == 1 or shares.count(share) == 1 for share in shares)
        for shares in map(_shares_of, _spectra())
    )


def _eta_one() -> bool:
    one = sp.Integer(1)
    return all(
        _released_rank(_shares_of(spectrum), one) == len(spectrum) + 1
        and _paper_rank(_shares_of(spectrum), one) == sum(bool(value) for value in spectrum)
        for spectrum in _spectra()
    )


def _tie() -> bool:
    half, one = sp.Rational(1, 2), sp.Integer(1)
    shares = _shares_of(list((TIED.T * TIED).diagonal()))
    at_half = (_paper_rank(shares, half), _released_rank(shares, half)) == (1, 2)
    return at_half and (_paper_rank(shares, one), _released_rank(shares, one)) == (2, 3)


def _ranks(W: sp.Matrix, eta: sp.Expr) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the ranks (paper's rule, released rule) of raw rows and of unit rows, W Wᵀ being diagonal."""
    unit = sp.diag(*(1 / norm(W.row(i)) for i in range(W.rows))) * W
    shares = [_shares_of(sorted((A * A.T).diagonal(), reverse=True)) for A in (W, unit)]
    raw, normalised = ((_paper_rank(of, eta), _released_rank(of, eta)) for of in shares)
    return raw, normalised


def _two_spectra() -> bool:
    return _ranks(UNEQUAL, sp.Rational(1, 2)) == ((1, 1), (3, 3))


def _far_apart() -> bool:
    def holds(d: int) -> bool:
        eta = 1 - sp.Rational(1, 2 * d)
        return _ranks(sp.diag(2 * d, *([1] * (d - 1))), eta) == ((1, 1), (d, d))

    return all(map(holds, range(2, 9)))
