"""Every public function refuses what it is not defined for, in the same words, before it writes anything."""

from __future__ import annotations

import inspect
import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from naive import check_refused, orthonormal, structured

import sphere_theory
from sphere_theory import (
    AlphaEdit,
    Control,
    EditBatch,
    Emmet,
    Encore,
    EvoEdit,
    FineTune,
    GramTracker,
    LayerMemory,
    LowRankUpdate,
    Measures,
    Memit,
    MemitSequential,
    Mose,
    MoseRight,
    Nas,
    NormMatchedShrinkage,
    Prune,
    Rect,
    Revive,
    RlsEdit,
    Rome,
    RunStore,
    SparseProjector,
    Sphere,
    Subspace,
    audit_bound,
    bottom_space,
    bound_constant,
    enclose_change,
    energy,
    energy_change,
    energy_estimate,
    energy_gradient,
    largest_change,
    min_separation,
    principal_space,
    random_space,
    run_stream,
    simplex_energy,
    uniform_energy,
)
from sphere_theory.errors import (
    CertificateError,
    CoincidentNeuronsError,
    DTypeError,
    InputError,
    IntegrityError,
    ModelError,
    NonFiniteError,
    RangeError,
    ShapeError,
    SingularError,
    SphereTheoryError,
    UnknownTensorError,
    ZeroRowError,
)
from sphere_theory.hosts.edits import make_stream

pytestmark = pytest.mark.usefixtures("unchecked")

N, D, B = 4, 3, 2
W = structured("gaussian", 0, N, D)
EDIT = 1e-3 * structured("gaussian", 1, N, D)
LEFT, RIGHT = structured("gaussian", 2, N, B), structured("gaussian", 3, D, B)
SPACE = Subspace(orthonormal(np.random.default_rng(4), D, B))
PROJECTOR = SparseProjector(SPACE, 0.5)


STREAM = make_stream(torch.from_numpy(W), torch.eye(D).double(), torch.eye(D).double(), noise=0.1, record={})


def edited(**changes: object) -> None:
    """A run that is refused before it comes to its store."""
    settings: dict = {"editor": Memit(), "batch": 1, "checkpoint_seconds": 1.0} | changes
    stream = {name: settings.pop(name) for name in vars(STREAM) if name in settings}
    memory = settings.pop("memory", LayerMemory(torch.from_numpy(W), torch.eye(D)))
    run_stream(memory, stream=replace(STREAM, **stream), measures=Measures(), store=None, **settings)


class Door(NamedTuple):
    """One argument of one public name: `call` passes it a value, everything else being right."""

    name: str
    argument: str
    call: Callable[[object], object]

    def __str__(self) -> str:
        return f"{self.name}-{self.argument}"


def tracked(left: object, right: object) -> None:
    GramTracker(W).update(left, right)


MATRICES = [
    (Door("energy", "W", energy), (N, D)),
    (Door("energy_gradient", "W", energy_gradient), (N, D)),
    (Door("energy_estimate", "W", lambda x: energy_estimate(x, samples=9, seed=0)), (N, D)),
    (Door("energy_change", "W", lambda x: energy_change(x, EDIT)), (N, D)),
    (Door("energy_change", "delta", lambda x: energy_change(W, x)), (N, D)),
    (Door("min_separation", "W", min_separation), (N, D)),
    (Door("GramTracker", "W", GramTracker), (N, D)),
    (Door("GramTracker", "left", lambda x: tracked(x, RIGHT)), (N, B)),
    (Door("GramTracker", "right", lambda x: tracked(LEFT, x)), (D, B)),
    (Door("principal_space", "W", principal_space), (N, D)),
    (Door("principal_space", "W", lambda x: principal_space(x, rows="unit", method="randomized")), (N, D)),
    (Door("bottom_space", "W", lambda x: bottom_space(x, 1)), (N, D)),
    (Door("random_space", "like_space.basis", lambda x: random_space(Subspace(x), seed=0)), (D, B)),
    (Door("SparseProjector", "space.basis", lambda x: SparseProjector(Subspace(x), 0.5)), (D, B)),
    (Door("SparseProjector", "delta", PROJECTOR), (N, D)),
    (Door("NormMatchedShrinkage", "delta", NormMatchedShrinkage(PROJECTOR)), (N, D)),
    (Door("LowRankUpdate", "left", lambda x: LowRankUpdate(x, RIGHT)), (N, B)),
    (Door("LowRankUpdate", "right", lambda x: LowRankUpdate(LEFT, x)), (D, B)),
    (Door("EditBatch", "keys", lambda x: EditBatch(x, LEFT)), (D, B)),
    (Door("EditBatch", "values", lambda x: EditBatch(RIGHT, x)), (N, B)),
    (Door("LayerMemory", "weight", LayerMemory), (N, D)),
    (Door("LayerMemory", "second_moment", lambda x: LayerMemory(W, x)), (D, D)),
    (Door("LayerMemory", "pretrained", lambda x: LayerMemory(W, pretrained=x)), (N, D)),
    (Door("bound_constant", "W", bound_constant), (N, D)),
    (Door("bound_constant", "W", lambda x: bound_constant(x, EDIT)), (N, D)),
    (Door("bound_constant", "W", lambda x: bound_constant(x, EDIT, kind="certified")), (N, D)),
    (Door("bound_constant", "delta", lambda x: bound_constant(W, x)), (N, D)),
    (Door("bound_constant", "delta", lambda x: bound_constant(W, x, kind="certified")), (N, D)),
    (Door("enclose_change", "W", lambda x: enclose_change(x, EDIT)), (N, D)),
    (Door("enclose_change", "delta", lambda x: enclose_change(W, x)), (N, D)),
    (Door("largest_change", "W", lambda x: largest_change(x, 1e-3)), (N, D)),
    (Door("audit_bound", "W", lambda x: audit_bound(x, EDIT)), (N, D)),
    (Door("audit_bound", "delta", lambda x: audit_bound(W, x)), (N, D)),
    (Door("audit_bound", "inputs", lambda x: audit_bound(W, EDIT, x)), (D, B)),
    (Door("run_stream", "stream.keys", lambda x: edited(keys=x)), (D, D)),
    (Door("run_stream", "stream.preserved", lambda x: edited(preserved=x)), (D, D)),
    (Door("run_stream", "stream.paraphrases", lambda x: edited(paraphrases=x)), (D, D)),
    (Door("run_stream", "stream.values", lambda x: edited(values=x)), (D, N)),
]

DTYPES = "a numpy array or torch tensor of dtype float16, bfloat16, float32 or float64"
TWO_DIMENSIONS, NOT_EMPTY = "a matrix (2 dimensions)", "at least one row and one column"


class Bad(NamedTuple):
    """A value, made for the shape that is right, and what is said about it."""

    make: Callable[[tuple[int, int]], object]
    error: type[Exception]
    said: Callable[[tuple[int, int]], str]


def bad(make: Callable, error: type[Exception], expected: str, got: str) -> Bad:
    """In `got`, {n} and {d} stand for the right shape and {size} for their product."""
    return Bad(
        make, error, lambda s: f"expected {expected}, got {got.format(n=s[0], d=s[1], size=s[0] * s[1])}"
    )


def with_entry(value: float, *, row: int, column: int) -> Callable[[tuple[int, int]], np.ndarray]:
    def make(shape: tuple[int, int]) -> np.ndarray:
        matrix = np.ones(shape) + np.eye(*shape)
        matrix[row, column] = value
        return matrix

    return make


def non_finite(value: float, kind: Callable = np.asarray) -> Bad:
    got = f"1 of {{size}} entries NaN or infinite (first at (1, 1): {value})"
    make = with_entry(value, row=1, column=1)
    return bad(lambda s: kind(make(s)), NonFiniteError, "finite numbers", got)


NOT_MATRICES = {
    "None": bad(lambda s: None, DTypeError, DTYPES, "builtins.NoneType"),
    "int": bad(lambda s: 3, DTypeError, DTYPES, "builtins.int"),
    "list": bad(lambda s: np.ones(s).tolist(), DTypeError, DTYPES, "builtins.list"),
    "string": bad(lambda s: "minilm", DTypeError, DTYPES, "builtins.str"),
    "int array": bad(lambda s: np.ones(s, np.int64), DTypeError, DTYPES, "a numpy array of dtype int64"),
    "bool array": bad(lambda s: np.ones(s, bool), DTypeError, DTYPES, "a numpy array of dtype bool"),
    "complex array": bad(
        lambda s: np.ones(s, complex), DTypeError, DTYPES, "a numpy array of dtype complex128"
    ),
    "object array": bad(lambda s: np.ones(s, object), DTypeError, DTYPES, "a numpy array of dtype object"),
    "int tensor": bad(
        lambda s: torch.ones(s, dtype=torch.int32), DTypeError, DTYPES, "a tensor of dtype torch.int32"
    ),
    "complex tensor": bad(
        lambda s: torch.ones(s, dtype=torch.cfloat), DTypeError, DTYPES, "a tensor of dtype torch.complex64"
    ),
    "sparse tensor": bad(
        lambda s: torch.eye(*s).to_sparse(), DTypeError, "a dense tensor", "layout torch.sparse_coo"
    ),
    "no dimension": bad(lambda s: np.array(1.0), ShapeError, TWO_DIMENSIONS, "shape ()"),
    "one dimension": bad(lambda s: np.ones(s[1]), ShapeError, TWO_DIMENSIONS, "shape ({d},)"),
    "three dimensions": bad(lambda s: torch.ones(1, *s), ShapeError, TWO_DIMENSIONS, "shape (1, {n}, {d})"),
    "no rows": bad(lambda s: np.ones((0, s[1])), ShapeError, NOT_EMPTY, "shape (0, {d})"),
    "no columns": bad(lambda s: torch.ones(s[0], 0), ShapeError, NOT_EMPTY, "shape ({n}, 0)"),
    "NaN": non_finite(math.nan),
    "infinity": non_finite(math.inf, torch.from_numpy),
    "minus infinity": non_finite(-math.inf, lambda x: x.astype(np.float32)),
}


# None asks for all inputs, or is missed in words of its own (tests/test_bound.py).
MAY_BE_NONE = {
    ("audit_bound", "inputs"),
    ("bound_constant", "delta"),
    ("LayerMemory", "second_moment"),
    ("LayerMemory", "pretrained"),
}
FLAWS = [
    (*row, flaw)
    for row in MATRICES
    for flaw in NOT_MATRICES
    if flaw != "None" or row[0][:2] not in MAY_BE_NONE
]


def brief(value: object) -> str:
    return str(value).partition("\n")[0][:20]


@pytest.mark.parametrize(("door", "shape", "flaw"), FLAWS, ids=brief)
def test_not_a_matrix(door: Door, shape: tuple[int, int], flaw: str) -> None:
    make, error, said = NOT_MATRICES[flaw]
    check_refused(lambda: door.call(make(shape)), error, f"{door.argument}: {said(shape)}")


NEEDS_DIRECTIONS = [door for door, _ in MATRICES if door.argument == "W" and door.name != "bottom_space"]


@pytest.mark.parametrize(
    "door", [door for door in NEEDS_DIRECTIONS if door.call is not principal_space], ids=str
)
def test_a_zero_row_has_no_direction(door: Door) -> None:
    zeros = W.copy()
    zeros[[1, 3]] = 0
    message = "W: expected no zero row (it has no direction), got 2 zero rows (first at row 1)"
    check_refused(lambda: door.call(zeros), ZeroRowError, message)


@pytest.mark.parametrize("call", [energy_change, audit_bound, bound_constant, enclose_change])
def test_an_edit_that_makes_a_row_zero(call: Callable) -> None:
    edit = EDIT.copy()
    edit[2] = -W[2]
    message = "W + delta: expected no zero row (it has no direction), got 1 zero rows (first at row 2)"
    check_refused(lambda: call(W, edit), ZeroRowError, message)


@pytest.mark.parametrize("call", [principal_space, lambda x: bottom_space(x, 1)])
def test_a_zero_matrix_has_no_directions(call: Callable) -> None:
    message = "W: expected a matrix that is not zero, got zeros of shape (4, 3)"
    check_refused(lambda: call(np.zeros((N, D))), RangeError, message)


@pytest.mark.parametrize(
    "call",
    [
        min_separation,
        lambda x: energy_estimate(x, samples=2, seed=0),
        lambda x: energy(x, reduction="mean"),
        lambda x: energy(x, reduction="uniform"),
    ],
)
def test_pairs_need_two_neurons(call: Callable) -> None:
    check_refused(lambda: call(W[:1]), ShapeError, "W: expected at least 2 neurons (rows), got shape (1, 3)")


WIDER = np.ones((N, D + 1))
MISFITS = {
    "change": (lambda: energy_change(W, WIDER), "delta: expected shape (4, 3), got shape (4, 4)"),
    "constant": (
        lambda: bound_constant(W, EDIT[1:], kind="certified"),
        "delta: expected shape (4, 3), got shape (3, 3)",
    ),
    "unconditional": (
        lambda: bound_constant(W, EDIT[1:]),
        "delta: expected shape (4, 3), got shape (3, 3)",
    ),
    "enclosure": (lambda: enclose_change(W, WIDER), "delta: expected shape (4, 3), got shape (4, 4)"),
    "audit": (lambda: audit_bound(W, EDIT.T), "delta: expected shape (4, 3), got shape (3, 4)"),
    "audit low rank": (
        lambda: audit_bound(W, LowRankUpdate(RIGHT, LEFT)),
        "delta: expected shape (4, 3), got shape (3, 4)",
    ),
    "inputs": (lambda: audit_bound(W, EDIT, LEFT), "inputs: expected shape (3, any), got shape (4, 2)"),
    "projector": (lambda: PROJECTOR(WIDER), "delta: expected shape (any, 3), got shape (4, 4)"),
    "projector low rank": (
        lambda: PROJECTOR(LowRankUpdate(LEFT, LEFT)),
        "delta.right: expected shape (3, any), got shape (4, 2)",
    ),
    "shrinkage": (
        lambda: NormMatchedShrinkage(PROJECTOR)(WIDER),
        "delta: expected shape (any, 3), got shape (4, 4)",
    ),
    "factors": (
        lambda: LowRankUpdate(LEFT, RIGHT[:, :1]),
        "right: expected shape (any, 2), got shape (3, 1)",
    ),
    "batch": (lambda: EditBatch(RIGHT, LEFT[:, :1]), "values: expected shape (any, 2), got shape (4, 1)"),
    "second moment": (
        lambda: LayerMemory(W, np.eye(N)),
        "second_moment: expected shape (3, 3), got shape (4, 4)",
    ),
    "pretrained": (
        lambda: LayerMemory(W, pretrained=W.T),
        "pretrained: expected shape (4, 3), got shape (3, 4)",
    ),
    "keys of another layer": (
        lambda: Memit().apply(LayerMemory(W, np.eye(D)), EditBatch(LEFT, LEFT)),
        "batch.keys: expected shape (3, any), got shape (4, 2)",
    ),
    "values of another layer": (
        lambda: FineTune().update(LayerMemory(W), EditBatch(RIGHT, RIGHT)),
        "batch.values: expected shape (4, any), got shape (3, 2)",
    ),
    "no second moment": (
        lambda: Rome().update(LayerMemory(W), EditBatch(RIGHT, LEFT)),
        "memory.second_moment: expected C0 of shape (3, 3), which this editor needs, got None",
    ),
    "keys of a stream": (
        lambda: edited(keys=torch.ones(D, D + 1)),
        "stream.keys: expected shape (any, 3), got shape (3, 4)",
    ),
    "values of a stream": (
        lambda: edited(values=torch.ones(D, N + 1)),
        "stream.values: expected shape (any, 4), got shape (3, 5)",
    ),
    "random space": (
        lambda: random_space(Subspace(RIGHT.T), seed=0),
        "like_space.basis: expected at most as many columns as rows, got shape (2, 3)",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_shapes_that_do_not_fit(name: str) -> None:
    check_refused(MISFITS[name][0], ShapeError, MISFITS[name][1])


# --- scalars and names ---------------------------------------------------------------------------

EXPONENTS = [
    Door("energy", "s", lambda s: energy(W, s=s)),
    Door("energy_gradient", "s", lambda s: energy_gradient(W, s=s)),
    Door("energy_estimate", "s", lambda s: energy_estimate(W, s=s, samples=9, seed=0)),
    Door("energy_change", "s", lambda s: energy_change(W, EDIT, s=s)),
    Door("uniform_energy", "s", lambda s: uniform_energy(5, 4, s=s)),
    Door("simplex_energy", "s", lambda s: simplex_energy(5, s=s)),
    Door("GramTracker", "s", lambda s: GramTracker(W).energy(s)),
    Door("bound_constant", "s", lambda s: bound_constant(W, EDIT, s=s)),
    Door("enclose_change", "s", lambda s: enclose_change(W, EDIT, s=s)),
    Door("largest_change", "s", lambda s: largest_change(W, 1e-3, s=s)),
    Door("audit_bound", "s", lambda s: audit_bound(W, EDIT, s=s)),
]
REALS = [
    *((door, "a number in [0, ∞)", [-1, -1e-300]) for door in EXPONENTS),
    (
        Door("principal_space", "eta", lambda x: principal_space(W, eta=x)),
        "a number in (0, 1]",
        [0, 0.0, -0.5, 1.0000001, 50],
    ),
    (
        Door("SparseProjector", "alpha", lambda x: SparseProjector(SPACE, x)),
        "a number in [0, 2]",
        [-1e-9, 2.0000001],
    ),
    (
        Door("GramTracker", "tolerance", lambda x: GramTracker(W, tolerance=x)),
        "a number in (0, ∞)",
        [0, -1e-6],
    ),
    (Door("Measures", "eta", lambda x: Measures(eta=x)), "a number in (0, 1]", [0, -0.5, 1.0000001]),
    (Door("largest_change", "size", lambda x: largest_change(W, x)), "a number in (0, ∞)", [0, -1]),
    (Door("enclose_change", "width", lambda x: enclose_change(W, EDIT, width=x)), "a number in (0, ∞)", [0]),
    (
        Door("enclose_change", "seconds", lambda x: enclose_change(W, EDIT, seconds=x)),
        "a number in [0, ∞)",
        [-1],
    ),
    (
        Door("run_stream", "checkpoint_seconds", lambda x: edited(checkpoint_seconds=x)),
        "a number in [0, ∞)",
        [-1, -1e-300],
    ),
]
_OPEN, _CLOSED, _SHARE = "a number in (0, ∞)", "a number in [0, ∞)", "a number in (0, 1]"
NO_NUMBER = {("FineTune", "clamp"), ("Nas", "norm"), ("enclose_change", "width")}  # None switches them off
HYPERPARAMETERS = [
    *((editor, "ridge", _OPEN) for editor in (Memit, MemitSequential, Encore, RlsEdit, Mose, MoseRight)),
    *((editor, "damping", _CLOSED) for editor in (Rome, Emmet, Memit, MemitSequential)),
    *((editor, "damping", _OPEN) for editor in (Encore, RlsEdit)),
    *((editor, name, _OPEN) for editor in (AlphaEdit, EvoEdit) for name in ("l2", "threshold")),
    (FineTune, "learning_rate", _OPEN),
    (FineTune, "clamp", _OPEN),
    (FineTune, "weight_decay", _CLOSED),
    (Rect, "keep", _SHARE),
    (Revive, "share", _SHARE),
    (Nas, "norm", _OPEN),
    (Sphere, "eta", _SHARE),
    (Sphere, "alpha", "a number in [0, 2]"),
    (Control, "eta", _SHARE),
    (Control, "alpha", "a number in [0, 2]"),
]
OUTSIDE = {_OPEN: [0, -1e-300], _CLOSED: [-1e-300], _SHARE: [0, 1.0000001], "a number in [0, 2]": [2.0000001]}
REALS += [
    (Door(editor.__name__, name, lambda x, e=editor, n=name: e(**{n: x})), expected, OUTSIDE[expected])
    for editor, name, expected in HYPERPARAMETERS
]
NOT_REALS = (
    math.nan,
    math.inf,
    -math.inf,
    True,
    "1",
    None,
    1j,
    [1.0],
    np.ones(1),
    torch.tensor(1.0),
    10**400,
)


@pytest.mark.parametrize(
    ("door", "expected", "value"),
    [
        (door, expected, value)
        for door, expected, outside in REALS
        for value in (*outside, *NOT_REALS)
        if value is not None or door[:2] not in NO_NUMBER
    ],
    ids=brief,
)
def test_not_a_number_of_the_interval(door: Door, expected: str, value: object) -> None:
    check_refused(
        lambda: door.call(value), RangeError, f"{door.argument}: expected {expected}, got {value!r}"
    )


COUNTS = [
    (Door("energy_estimate", "samples", lambda x: energy_estimate(W, samples=x, seed=0)), 2, None),
    (Door("energy_estimate", "seed", lambda x: energy_estimate(W, samples=9, seed=x)), 0, 2**63 - 1),
    (Door("uniform_energy", "n", lambda x: uniform_energy(x, 4)), 2, None),
    (Door("uniform_energy", "d", lambda x: uniform_energy(5, x)), 2, None),
    (Door("simplex_energy", "n", simplex_energy), 2, None),
    (Door("GramTracker", "check_every", lambda x: GramTracker(W, check_every=x)), 1, None),
    (Door("principal_space", "seed", lambda x: principal_space(W, seed=x)), 0, 2**63 - 1),
    (Door("bottom_space", "rank", lambda x: bottom_space(W, x)), 1, D),
    (Door("random_space", "seed", lambda x: random_space(SPACE, seed=x)), 0, 2**63 - 1),
    (Door("LayerMemory", "edits", lambda x: LayerMemory(W, edits=x)), 0, None),
    (Door("FineTune", "steps", lambda x: FineTune(steps=x)), 1, None),
    (Door("Measures", "every", lambda x: Measures(every=x)), 1, None),
    (Door("Measures", "candidates", lambda x: Measures(candidates=x)), 2, None),
    (Door("Measures", "preserved_candidates", lambda x: Measures(preserved_candidates=x)), 2, None),
    (Door("Control", "seed", lambda x: Control(seed=x)), 0, 2**63 - 1),
    (Door("Measures", "seed", lambda x: Measures(seed=x)), 0, 2**63 - 1),
    (Door("run_stream", "batch", lambda x: edited(batch=x)), 1, None),
    (Door("enclose_change", "pieces", lambda x: enclose_change(W, EDIT, pieces=x)), 1, None),
]


@pytest.mark.parametrize(("door", "low", "high"), COUNTS, ids=str)
def test_not_a_count(door: Door, low: int, high: int | None) -> None:
    for value in (1.0, True, "3", None, math.nan, np.ones(1)):
        check_refused(
            lambda v=value: door.call(v),
            RangeError,
            f"{door.argument}: expected an integer ≥ {low}, got {value!r}",
        )
    ends = f" and ≤ {high}" if high is not None else ""
    for value in (low - 1, -5, *([high + 1] if high is not None else [])):
        message = f"{door.argument}: expected an integer ≥ {low}{ends}, got {value}"
        check_refused(lambda v=value: door.call(v), RangeError, message)


NAMES = [
    (Door("energy", "reduction", lambda x: energy(W, reduction=x)), "'sum', 'mean', 'uniform'"),
    (Door("principal_space", "rows", lambda x: principal_space(W, rows=x)), "'raw', 'unit'"),
    (Door("bottom_space", "rows", lambda x: bottom_space(W, 1, rows=x)), "'raw', 'unit'"),
    (Door("principal_space", "rank_rule", lambda x: principal_space(W, rank_rule=x)), "'paper', 'released'"),
    (
        Door("principal_space", "method", lambda x: principal_space(W, method=x)),
        "'auto', 'dual', 'covariance', 'randomized'",
    ),
    (
        Door("bound_constant", "kind", lambda x: bound_constant(W, kind=x)),
        "'unconditional', 'gradient', 'triangle', 'certified'",
    ),
    (Door("Sphere", "basis", lambda x: Sphere(basis=x)), "'pretrained', 'current'"),
    (Door("Sphere", "rows", lambda x: Sphere(rows=x)), "'raw', 'unit'"),
    (Door("Sphere", "rank_rule", lambda x: Sphere(rank_rule=x)), "'paper', 'released'"),
    (Door("Control", "kind", lambda x: Control(kind=x)), "'shrink', 'random', 'bottom'"),
    (
        Door("BoundAudit", "kind", lambda x: audit_bound(W, EDIT).check(x)),
        "'unconditional', 'gradient', 'triangle', 'certified'",
    ),
]


@pytest.mark.parametrize("value", ["", "Sum", None, 1, True, ["raw"], W], ids=brief)
@pytest.mark.parametrize(("door", "names"), NAMES, ids=str)
def test_not_one_of_the_names(door: Door, names: str, value: object) -> None:
    check_refused(
        lambda: door.call(value), RangeError, f"{door.argument}: expected one of {names}, got {value!r}"
    )


SPACES = [
    Door("SparseProjector", "space", lambda x: SparseProjector(x, 0.5)),
    Door("random_space", "like_space", lambda x: random_space(x, seed=0)),
    Door("NormMatchedShrinkage", "projector", NormMatchedShrinkage),
]


@pytest.mark.parametrize("value", [None, 3, "principal", np.eye(3)], ids=brief)
@pytest.mark.parametrize("door", SPACES, ids=str)
def test_not_a_space_or_projector(door: Door, value: object) -> None:
    with pytest.raises(SphereTheoryError, match=f"^{door.argument}: expected ") as caught:
        door.call(value)
    assert isinstance(caught.value, ValueError)


WRAPPERS = [Door(kind.__name__, "editor", kind) for kind in (Rect, Prune, Revive, Nas, Sphere, Control)]


@pytest.mark.parametrize("value", [None, 3, "memit", Memit, W], ids=brief)
@pytest.mark.parametrize("door", WRAPPERS, ids=str)
def test_not_an_editor(door: Door, value: object) -> None:
    message = f"editor: expected an Editor, such as Memit(), got {value!r}"
    check_refused(lambda: door.call(value), DTypeError, message)


@pytest.mark.parametrize("value", [None, (RIGHT, LEFT), 3], ids=brief)
def test_not_a_batch(value: object) -> None:
    message = f"batch: expected an EditBatch, got {value!r}"
    check_refused(lambda: FineTune().update(LayerMemory(W), value), DTypeError, message)


def test_a_basis_that_is_not_orthonormal() -> None:
    basis = SPACE.basis * [1.0, 1.001]
    message = "space.basis: expected orthonormal columns, got |UᵀU − I| up to 0.002"
    check_refused(lambda: SparseProjector(Subspace(basis), 0.5), RangeError, message)


def test_uniform_energies_that_do_not_exist() -> None:
    wanted = "expected s < d − 1 = 2 (the expectation is infinite from there on)"
    for call in (lambda: uniform_energy(5, 3, s=2), lambda: energy(W, s=2, reduction="uniform")):
        check_refused(call, RangeError, f"s: {wanted}, got 2")
    message = "reduction: expected a reference that is not zero, got uniform_energy(2, 2, s=0) = 0"
    check_refused(lambda: energy(np.eye(2), s=0, reduction="uniform"), RangeError, message)


def test_rows_that_no_tracker_can_hold() -> None:
    big = np.ones((2, 2), np.float32) * np.array([[1e30], [1.0]], np.float32)
    fit = "row norms between 9.09e-13 and 1.1e+12, whose products fit torch.float32"
    check_refused(
        lambda: GramTracker(big),
        RangeError,
        f"W: expected {fit}, got 1 rows outside (first at row 0: 1.41e+30)",
    )


@pytest.mark.parametrize("value", [None, "memit", Memit, LayerMemory(np.eye(2))], ids=brief)
def test_no_run_without_an_editor(value: object) -> None:
    message = f"editor: expected an Editor, such as Memit(), got {value!r}"
    check_refused(lambda: edited(editor=value), DTypeError, message)


def test_a_layer_that_was_edited_before() -> None:
    memory = LayerMemory(torch.from_numpy(W), edits=3)
    message = "memory: expected a layer before any edit, got one with 3 edits"
    check_refused(lambda: edited(memory=memory), RangeError, message)


@pytest.mark.parametrize("name", ["", "12ab"])
def test_a_run_that_is_not_there(name: str, tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        message = f"run: expected a run, of which {tmp_path} has none, got {name!r}"
        check_refused(lambda: store.frame(name), InputError, message)


# --- the table and the classes -------------------------------------------------------------------

# tests/models, hosts, experiments, streams
ELSEWHERE = {
    *("load_layer", "open_checkpoint", "Checkpoint", "second_moment"),
    *("CheckpointLayer", "MiniLM", "StreamSpec", "SyntheticLayer", "make_host", "make_stream"),
    *("probe_bound", "describe_layers", "RunStore"),
}
RECORDS = {
    *("Edits", "Host", "LayerRow"),  # interfaces, and what is returned
    "BoundCheck",
    "EditStream",
    "Editor",
    "EnergyChange",
    "Estimate",
    "Interval",
    "PrincipalSpace",
    "Separation",
    "Step",
    "Subspace",
}


def test_every_public_name_is_in_the_tables() -> None:
    doors = (
        [door for door, _ in MATRICES]
        + [row[0] for row in (*REALS, *COUNTS, *NAMES)]
        + EXPONENTS
        + SPACES
        + WRAPPERS
    )
    public = {name for name in sphere_theory.__all__ if callable(getattr(sphere_theory, name))}
    raised = {name for name in public if issubclass_of(getattr(sphere_theory, name), Exception)}
    missing = public - raised - RECORDS - ELSEWHERE - {door.name for door in doors}
    assert not missing, f"expected a row of bad inputs for every public function, none for {sorted(missing)}"


def issubclass_of(value: object, base: type) -> bool:
    return inspect.isclass(value) and issubclass(value, base)


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (InputError, SphereTheoryError),
        *(
            (error, InputError)
            for error in (ShapeError, DTypeError, NonFiniteError, ZeroRowError, RangeError, SingularError)
        ),
        *((error, InputError) for error in (CoincidentNeuronsError, CertificateError, ModelError)),
        *((error, ModelError) for error in (UnknownTensorError, IntegrityError)),
    ],
)
def test_the_family_of_errors(error: type[Exception], base: type[Exception]) -> None:
    assert error.__bases__[0] is base
    assert issubclass(error, SphereTheoryError)
    assert issubclass(error, ValueError)


def test_an_error_carries_its_numbers() -> None:
    with pytest.raises(ShapeError) as caught:
        energy_change(W, WIDER)
    error = caught.value
    assert (error.argument, error.expected, error.got, error.where) == (
        "delta",
        "shape (4, 3)",
        "shape (4, 4)",
        (),
    )
    assert str(InputError("x", "y", "z", ["a", 1])) == "x: expected y, got z (first at a, 1)"
    assert InputError("x", "y", "z", ["a", 1]).where == ("a", 1)


def test_an_error_comes_whole_from_another_process() -> None:
    error = pickle.loads(pickle.dumps(ShapeError("x", "y", "z", ["a", 1])))
    assert (type(error), str(error)) == (ShapeError, "x: expected y, got z (first at a, 1)")
    assert (error.argument, error.where) == ("x", ("a", 1))


def test_numbers_of_numpy_are_numbers() -> None:
    assert energy(W, s=np.float32(2)) == energy(W, s=np.int64(2)) == energy(W, s=2)
    assert principal_space(W, seed=np.int32(3)).rank == principal_space(W).rank
