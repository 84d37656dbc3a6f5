"""What an editor has to satisfy, on every layer and batch that sphere_theory's strategies can think of.

A property takes the editor's class, so that the same property is asked of the editor (which has to pass) and
of broken ones (which must not).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from sphere_theory import BoundAudit, audit_bound, energy, strategies

import broken_editors
from editor import RidgeEditor

# Without the phase that explains failures: most failures here are meant.
quick = settings(max_examples=100, deadline=None, phases=(Phase.generate, Phase.shrink))
settings.register_profile("downstream", quick, derandomize=True, database=None, report_multiple_bugs=False)
settings.load_profile("downstream")

# Extreme scales ask for a tolerance a row; this suite has one for each property.
LAYERS = tuple(name for name in strategies.STRUCTURES if name != "extreme-scale")


class Problem(NamedTuple):
    """A layer and what is asked of it, in the editor's convention: keys and targets one per row."""

    weight: np.ndarray
    keys: np.ndarray
    targets: np.ndarray


@st.composite
def problems(draw: st.DrawFn, structures: tuple[str, ...] = LAYERS) -> Problem:
    """Batches of no more keys than dimensions; targets from near the present outputs to far from them."""
    weight = draw(strategies.neuron_matrices(structures=structures))
    n, d = weight.shape
    batch = draw(strategies.batches(n, d, b=st.integers(1, min(3, d))))
    distance = draw(st.sampled_from([1.0, 1e-2, 1e-4]))
    return Problem(weight, batch.keys.T, batch.keys.T @ weight.T + distance * batch.values.T)


@given(problem=problems())
def realises_the_values(editor: type[RidgeEditor], problem: Problem) -> None:
    """What is missing after the edit is at most λ/(λ + σ²) of what was, σ the keys' least singular value."""
    weight, keys, targets = problem
    missing = np.linalg.norm(targets - keys @ weight.T)
    least = np.linalg.svd(keys, compute_uv=False)[-1]
    for ridge in (1e-2, 1e-4, 1e-6):
        left = np.linalg.norm(targets - keys @ editor(ridge).apply(*problem).T)
        assert left <= (ridge / (ridge + least**2) + 1e-7) * missing + 1e-12


@given(problem=problems())
def changes_no_more_directions_than_keys(editor: type[RidgeEditor], problem: Problem) -> None:
    values = np.linalg.svd(editor().change(*problem), compute_uv=False)
    assert np.all(values[len(problem.keys) :] <= 1e-8 * values[0])


@given(data=st.data(), problem=problems())
def is_never_enlarged_by_the_projector(
    editor: type[RidgeEditor], data: st.DataObject, problem: Problem
) -> None:
    projector = data.draw(strategies.projectors(problem.weight.shape[1]))
    plain, projected = editor().change(*problem), editor(project=projector).change(*problem)
    assert np.linalg.norm(projected) <= np.linalg.norm(plain) * (1 + 1e-12)


@given(data=st.data(), problem=problems(("ordinary", "simplex", "rank-deficient", "conv1d")))
def respects_the_invariance_of_energy(
    editor: type[RidgeEditor], data: st.DataObject, problem: Problem
) -> None:
    """Neurons lengthened together with their targets have the same directions after the edit."""
    weight, keys, targets = problem
    longer = weight + data.draw(strategies.edits(weight, directions=("radial",), size=2.0))
    assert energy(longer) == pytest.approx(energy(weight), rel=1e-7)
    factors = np.linalg.norm(longer, axis=1) / np.linalg.norm(weight, axis=1)
    edited = editor().apply(longer, keys, targets * factors)
    assert energy(edited) == pytest.approx(energy(editor().apply(*problem)), rel=1e-5)


@given(data=st.data(), problem=problems())
def does_not_mind_how_neurons_are_numbered(
    editor: type[RidgeEditor], data: st.DataObject, problem: Problem
) -> None:
    weight, keys, targets = problem
    order = data.draw(st.permutations(range(len(weight))))
    change, renumbered = editor().change(*problem), editor().change(weight[order], keys, targets[:, order])
    np.testing.assert_allclose(renumbered, change[order], rtol=1e-7, atol=1e-9 * np.abs(change).max())


def audit(editor: type[RidgeEditor], data: st.DataObject, problem: Problem) -> BoundAudit:
    conditions = st.sampled_from([1.0, 1e3])
    X = data.draw(strategies.inputs(problem.weight.shape[1], m=st.integers(1, 12), condition=conditions))
    return audit_bound(problem.weight, editor().change(*problem), X)


@given(data=st.data(), problem=problems())
def never_violates_what_is_proved(editor: type[RidgeEditor], data: st.DataObject, problem: Problem) -> None:
    assert audit(editor, data, problem).check("unconditional").verdict in ("holds", "undecided")


Property = Callable[..., Any]

PROPERTIES = (
    realises_the_values,
    changes_no_more_directions_than_keys,
    is_never_enlarged_by_the_projector,
    respects_the_invariance_of_energy,
    does_not_mind_how_neurons_are_numbered,
    never_violates_what_is_proved,
)

# Who is caught by what. No editor can be caught by the unconditional bound: it is a theorem.
CAUGHT = {
    broken_editors.TransposesKeysByReshape: realises_the_values,
    broken_editors.ForgetsWhatIsThere: realises_the_values,
    broken_editors.DecaysWeights: changes_no_more_directions_than_keys,
    broken_editors.ProjectsKeys: is_never_enlarged_by_the_projector,
    broken_editors.ClipsChanges: respects_the_invariance_of_energy,
    broken_editors.FreezesTheFirstNeuron: does_not_mind_how_neurons_are_numbered,
}


@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda function: function.__name__)
def test_the_editor(holds: Property) -> None:
    holds(RidgeEditor)


@pytest.mark.parametrize("editor", CAUGHT, ids=lambda editor: editor.__name__)
def test_the_suite_catches(editor: type[RidgeEditor]) -> None:
    with pytest.raises(AssertionError):
        CAUGHT[editor](editor)


def test_the_bound_asks_something_of_some_edits() -> None:
    """Otherwise "never violated" would say nothing."""

    def holds(example: tuple[st.DataObject, Problem]) -> bool:
        check = audit(RidgeEditor, *example).check("unconditional")
        return check.verdict == "holds" and check.lower_bound > 0

    find(st.tuples(st.data(), problems()), holds)
