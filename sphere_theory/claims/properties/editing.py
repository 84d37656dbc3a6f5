"""M1 to M3: sequential against one-time editing, projection after each solve, rotations on either side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from sphere_theory import strategies
from sphere_theory.claims.properties import literal
from sphere_theory.claims.properties.base import Mutant, Property
from sphere_theory.claims.properties.energy import Turned, turned
from sphere_theory.claims.properties.examples import Draw, length
from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.memit import Memit
from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.problem import EditBatch, LayerMemory, Step
from sphere_theory.projection import SparseProjector
from sphere_theory.spectrum import Subspace

# Relative rounding of a solve, by a condition number of at most 1e4 of the inverses.
_SOLVED = 1e-9

# A gap of this size is one: far above the rounding of a solve, far below 1e-3, the gaps of generic keys.
_GAP = 1e-6

# Eigenvalues of C0 below this are AlphaEdit's null space; the others lie in [0.5, 2].
THRESHOLD = 1e-2


def joined(batches: Sequence[EditBatch]) -> EditBatch:
    """All batches as one."""
    keys, values = ([getattr(batch, part) for batch in batches] for part in ("keys", "values"))
    return EditBatch(np.hstack(keys), np.hstack(values))


@dataclass(frozen=True, eq=False)
class Stream:
    """A layer with a C0 of its own and batches whose keys and values are fixed in advance.

    Attributes
    ----------
    W
        (n, d).
    moment
        C0, (d, d), eigenvalues in [0.5, 2].
    partial
        The same, with directions that preserved keys do not use: eigenvalue 0.
    batches
        Two of them.
    """

    W: np.ndarray
    moment: np.ndarray
    partial: np.ndarray
    batches: tuple[EditBatch, ...]

    def edited(self, editor: Editor, moment: np.ndarray, batches: Sequence[EditBatch]) -> np.ndarray:
        """W after an editor's batches."""
        memory = LayerMemory(self.W, moment)
        for batch in batches:
            memory = editor.apply(memory, batch)
        weight: np.ndarray = memory.weight
        return weight

    def gap(self, once: np.ndarray, after: np.ndarray) -> float:
        """Distance of two edited weights, as a share of the edit."""
        return length(after - once) / length(once - self.W)


@st.composite
def _stream(draw: Draw) -> Stream:
    W = draw(strategies.neuron_matrices(structures=("ordinary", "conv1d"), d=st.integers(3, 10)))
    d = W.shape[1]
    turn = draw(strategies.inputs(d, m=d))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.uniform(0.5, 2, size=d)
    unused = np.where(np.arange(d) < draw(st.integers(1, d)), 0.0, values)
    moments = ((turn * v) @ turn.T for v in (values, unused))
    batches = draw(strategies.batches(*W.shape)), draw(strategies.batches(*W.shape))
    moment, partial = ((moment + moment.T) / 2 for moment in moments)
    return Stream(W, moment, partial, batches)


def _same(x: Stream, editor: Editor, moment: np.ndarray, once: Editor | None = None) -> float:
    """How far in batches is from at once; the edit at once by another editor, if one is given."""
    return _SOLVED - x.gap(
        x.edited(once or editor, moment, [joined(x.batches)]), x.edited(editor, moment, x.batches)
    )


def _sequential(x: Stream) -> float:
    """MEMIT with its past keys, as it is and as its formula says, and AlphaEdit in a part of the space."""
    memit = min(_same(x, MemitSequential(1.0), x.moment, Memit(1.0)), _by_formula(x))
    return min(memit, _same(x, AlphaEdit(l2=1.0, threshold=THRESHOLD), x.partial))


def _by_formula(x: Stream, *, stale: bool = False, ridge: float = 1.0, growing: bool = False) -> float:
    """ΔW = R Kᵀ(λC0 + K_pK_pᵀ + KKᵀ)⁻¹ written out: with W_0 in R, another λ, or λC0 added anew each time."""
    W, inverse = x.W, ridge * x.moment
    for batch in x.batches:
        inverse = inverse + batch.keys @ batch.keys.T
        residual = batch.values - (x.W if stale else W) @ batch.keys
        W = W + residual @ np.linalg.solve(inverse, batch.keys).T
        inverse = inverse + (x.moment if growing else 0.0)
    return _SOLVED - x.gap(x.edited(Memit(1.0), x.moment, [joined(x.batches)]), W)


@dataclass(frozen=True, eq=False)
class _ProjectedStream:
    """A stream and a projector."""

    stream: Stream
    projector: SparseProjector

    def gap(
        self, projector: SparseProjector | None = None, *, each: bool = True, batches: int | None = None
    ) -> float:
        """Distance of projecting after each solve, or the sum alone, from projecting the one-time edit."""
        projector, some = projector or self.projector, self.stream.batches[:batches]
        start, editor = LayerMemory(self.stream.W, self.stream.moment), MemitSequential(1.0)
        once = self.stream.W + projector(editor.update(start, joined(some))).dense()
        memory = start
        for batch in some:
            step = editor.solve(memory, batch)
            memory = memory.after(
                Step(projector(step.update) if each else step.update, step.state), batch.size
            )
        after = memory.weight if each else self.stream.W + projector(memory.weight - self.stream.W)
        return self.stream.gap(once, after)

    def without(self) -> SparseProjector:
        """The same at α = 0."""
        return SparseProjector(self.projector.space, 0.0)

    def beside(self) -> SparseProjector:
        """P of a space that no edit enters, since their rows lie in the span of C0⁻¹K; or without."""
        keys = np.linalg.solve(self.stream.moment, joined(self.stream.batches).keys)
        left, values, _ = np.linalg.svd(keys)
        rank = int((values > 1e-9 * values[0]).sum())
        return SparseProjector(Subspace(left[:, rank:]), 1.0) if rank < len(left) else self.without()


@st.composite
def _projected_stream(draw: Draw) -> _ProjectedStream:
    stream = draw(_stream())
    alpha = st.sampled_from([0.5, 0.8, 1.0])
    return _ProjectedStream(stream, draw(strategies.projectors(stream.W.shape[1], alpha=alpha)))


def _breaks(gap: float) -> float:
    """Margin of a gap that is claimed not to be 0."""
    return gap - _GAP


def _columns(x: Turned, left: np.ndarray | None = None, right: np.ndarray | None = None) -> float:
    """HE of the columns under a rotation; of unit rows, or the longest row makes all columns one."""
    U = literal.units(x.W)
    after = U if left is None else left @ U
    after = after if right is None else after @ right
    return x.still(np.ascontiguousarray(after.T), np.ascontiguousarray(U.T))


def _rotations(x: Turned) -> float:
    """WR keeps the energy of the rows, RW that of the columns."""
    return min(x.still(x.W @ x.right), _columns(x, left=x.left))


def _nearly_turned(x: Turned) -> float:
    """R with its columns one percent from orthogonal."""
    shear = np.eye(len(x.right))
    shear[0, 1] = 0.01
    return x.still(x.W @ shear @ x.right)


EDITING: dict[str, Property] = {
    "M1": Property(
        "MEMIT with all past keys, and AlphaEdit in its null space: sequential equals one-time",
        _stream(),
        _sequential,
        (
            Mutant("without the past keys", lambda x: _same(x, Memit(1.0), x.moment)),
            Mutant(
                "values fixed relative to the weights of the moment: R = V − W_0K",
                lambda x: _by_formula(x, stale=True),
            ),
            Mutant("λC0 added anew with each batch", lambda x: _by_formula(x, growing=True)),
            Mutant("λ one percent larger", lambda x: _by_formula(x, ridge=1.01)),
        ),
    ),
    "M2": Property(
        "a projection after each solve breaks that equality",
        _projected_stream(),
        lambda x: _breaks(x.gap()),
        (
            Mutant("so does one that changes nothing (α = 0)", lambda x: _breaks(x.gap(x.without()))),
            Mutant("so does one after the last solve alone", lambda x: _breaks(x.gap(each=False))),
            Mutant("so it does for a single batch", lambda x: _breaks(x.gap(batches=1))),
            Mutant("so does one on a space that no edit enters", lambda x: _breaks(x.gap(x.beside()))),
            Mutant("by a tenth of the edit at least", lambda x: x.gap() - 0.1),
        ),
    ),
    "M3": Property(
        "WR keeps the energy of the rows, RW that of the columns",
        turned(),
        _rotations,
        (
            Mutant("RW keeps that of the rows", lambda x: x.still(x.left @ x.W)),
            Mutant("WR keeps that of the columns", lambda x: _columns(x, right=x.right)),
            Mutant("R one percent from orthogonal", _nearly_turned),
        ),
    ),
}
