"""The inverse that is kept current: watched, refactorised, and refused where there is none."""

from __future__ import annotations

import re

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphere_theory import AlphaEdit, EditBatch, Emmet, Encore, LayerMemory, Memit, MemitSequential, Rome
from sphere_theory.editing import normal_equations
from sphere_theory.editing.normal_equations import Penalty, forgetful_solution, inverse, remembered_solution
from sphere_theory.errors import SingularError


def moment(d: int, samples: int, *, decades: float = 0.0, seed: int = 0) -> torch.Tensor:
    """C0 of Gaussian keys, (d, d), its spectrum spread over so many decades."""
    generator = torch.Generator().manual_seed(seed)
    keys = torch.randn(d, samples, generator=generator, dtype=torch.float64)
    keys *= torch.logspace(0, -decades / 2, d, dtype=torch.float64)[:, None]
    return keys @ keys.T / samples


def after(memory: LayerMemory, solution: normal_equations.Solution) -> LayerMemory:
    return LayerMemory(memory.weight, memory.second_moment, state=solution.state)


def error(solution: normal_equations.Solution, A: torch.Tensor, K: torch.Tensor) -> float:
    """Of A⁻¹K, relative."""
    expected = torch.linalg.solve(A, K)
    return float((solution.right - expected).norm() / expected.norm())


@given(
    d=st.integers(1, 9),
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    zeros=st.booleans(),
    seed=st.integers(0, 999),
)
def test_gains_are_those_of_the_whole_sum(d: int, sizes: list[int], zeros: bool, seed: int) -> None:
    """b = 1, b > d and keys of zeros included."""
    generator = torch.Generator().manual_seed(seed)
    C = moment(d, 4 * d + 8)
    memory, A = LayerMemory(torch.zeros(2, d), C), 3.0 * C + 0.5 * torch.eye(d, dtype=torch.float64)
    for b in sizes:
        K = torch.randn(d, b, generator=generator, dtype=torch.float64)
        K[:, 0] *= not zeros
        penalty = Penalty(memory, 3.0, 0.5)
        solution = remembered_solution(penalty, K)
        A = A + K @ K.T
        torch.testing.assert_close(solution.right, torch.linalg.solve(A, K), rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(solution.state["inverse"] @ A, torch.eye(d).double(), rtol=0, atol=1e-9)
        memory = after(memory, solution)
    assert int(solution.state["factorisations"]) == 0


def test_the_inverse_stays_symmetric() -> None:
    memory = LayerMemory(torch.zeros(2, 50), moment(50, 300, decades=6))
    first = Penalty(memory, 1.0, 0.0).inverse(50)
    for seed in range(20):
        K = torch.randn(50, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        memory = after(memory, remembered_solution(Penalty(memory, 1.0, 0.0), K))
    last = memory.state["inverse"]
    assert float((last - last.T).abs().max()) < 1e-15 * float(first.abs().max())


@pytest.mark.parametrize("flaw", ["scaled", "noise", "indefinite"])
def test_a_corrupt_inverse_is_noticed_and_replaced(flaw: str) -> None:
    d, generator = 30, torch.Generator().manual_seed(3)
    C = moment(d, 200)
    memory = LayerMemory(torch.zeros(2, d), C)
    K = torch.randn(d, 4, generator=generator, dtype=torch.float64)
    solution = remembered_solution(Penalty(memory, 2.0, 0.0), K)
    noise = torch.randn(d, d, generator=generator, dtype=torch.float64)
    broken = {
        "scaled": 1.001 * solution.state["inverse"],
        "noise": solution.state["inverse"] + 1e-5 * (noise + noise.T),
        "indefinite": -solution.state["inverse"],
    }[flaw]
    memory = LayerMemory(memory.weight, C, state={**solution.state, "inverse": broken})
    again = remembered_solution(Penalty(memory, 2.0, 0.0), 2 * K)
    assert int(again.state["factorisations"]) == 1
    assert error(again, 2.0 * C + 5 * K @ K.T, 2 * K) < 1e-12


def test_without_the_watch_a_corrupt_inverse_stays(monkeypatch) -> None:
    """The tests above can fail."""
    monkeypatch.setattr(normal_equations, "TOLERANCE", np.inf)
    with pytest.raises(AssertionError):
        test_a_corrupt_inverse_is_noticed_and_replaced("noise")


def test_keys_that_cancel_are_no_reason_to_factorise() -> None:
    """The watch looks along one combination of the keys, k − k' here, which is almost nothing."""
    memory = LayerMemory(torch.zeros(2, 30), moment(30, 300, decades=4))
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        key, speck = torch.randn(2, 30, 1, generator=generator, dtype=torch.float64)
        solution = remembered_solution(
            Penalty(memory, 1.0, 0.0), torch.cat([key, key + 1e-12 * speck], dim=1)
        )
        memory = after(memory, solution)
    assert int(memory.state["factorisations"]) == 0


def test_two_thousand_ill_conditioned_batches() -> None:
    """cond C0 = 1e8, keys of C0's own kind: the last answer is as good as the first."""
    d, generator = 40, torch.Generator().manual_seed(5)
    C = moment(d, 400, decades=8)
    memory, A = LayerMemory(torch.zeros(2, d), C), C.clone()
    scale = torch.logspace(0, -4, d, dtype=torch.float64)[:, None]
    worst = 0.0
    for count in range(2000):
        K = scale * torch.randn(d, 3, generator=generator, dtype=torch.float64)
        solution = remembered_solution(Penalty(memory, 1.0, 0.0), K)
        A = A + K @ K.T
        memory = after(memory, solution)
        if count % 100 == 99:
            worst = max(worst, error(solution, A, K))
    assert worst < 1e-6


def test_the_same_key_edited_thousands_of_times() -> None:
    """With contradictory values: W goes to their running mean, and nothing overflows."""
    d = 12
    memory = LayerMemory(np.zeros((3, d)), moment(d, 100).numpy())
    rng = np.random.default_rng(0)
    key, values = rng.normal(size=(d, 1)), rng.normal(size=(3, 4000))
    editor = MemitSequential(ridge=1.0)
    for i in range(values.shape[1]):
        memory = editor.apply(memory, EditBatch(key, values[:, i : i + 1]))
    A = naive.plain(memory.second_moment) + 4000 * key @ key.T
    expected = (values.sum(axis=1, keepdims=True) @ key.T) @ np.linalg.inv(A)
    naive.check_close(memory.weight, expected, 1e-8, np.abs(expected).max())


def test_a_float32_moment_does_not_limit_how_often_a_key_is_edited() -> None:
    """What is added is exact in float64, however it compares with the rounding of C0."""
    d = 12
    C = moment(d, 100).float()
    K = 1e6 * torch.randn(d, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    memory = LayerMemory(torch.zeros(2, d), C)
    first = remembered_solution(Penalty(memory, 1.0, 0.0), K)
    broken = {**first.state, "inverse": 2 * first.state["inverse"]}
    again = remembered_solution(Penalty(LayerMemory(memory.weight, C, state=broken), 1.0, 0.0), K)
    assert int(again.state["factorisations"]) == 1


def test_forgetful_solutions_forget() -> None:
    C, generator = moment(9, 50), torch.Generator().manual_seed(0)
    memory = LayerMemory(torch.zeros(2, 9), C)
    for _ in range(3):
        K = torch.randn(9, 2, generator=generator, dtype=torch.float64)
        solution = forgetful_solution(Penalty(memory, 2.0, 0.1), K)
        A = 2.0 * C + 0.1 * torch.eye(9, dtype=torch.float64) + K @ K.T
        assert error(solution, A, K) < 1e-11
        memory = after(memory, solution)


# --- no inverse ---------------------------------------------------------------------------------

D = 40
BATCH = EditBatch(torch.ones(D, 1, dtype=torch.float64), torch.ones(3, 1, dtype=torch.float64))
SINGULAR = {
    "float64": (moment(D, 25), 25, 25),
    "float32": (moment(D, 25).float(), 25, 25),
    "float32, scaled": (1e-6 * moment(D, 25).float(), 25, 25),
    "number of samples unknown": (moment(D, 39), None, 39),
    "one sample": (moment(D, 1), 1, 1),
    "zero": (torch.zeros(D, D, dtype=torch.float64), 7, 0),
}
EDITORS = (Memit(), Memit(ridge=0.01), MemitSequential(), Rome(), Emmet())


@pytest.mark.parametrize("editor", EDITORS, ids=repr)
@pytest.mark.parametrize("name", SINGULAR)
def test_too_few_samples_are_refused_with_a_way_out(name: str, editor) -> None:
    C, samples, rank = SINGULAR[name]
    memory = LayerMemory(torch.zeros(3, D, dtype=torch.float64), C, samples=samples)
    with pytest.raises(SingularError) as caught:
        editor.apply(memory, BATCH)
    number = "an unknown number of" if samples is None else samples
    said = re.fullmatch(
        rf"memory\.second_moment: expected a matrix of rank {D}, or damping=(\S+) beside it, "
        rf"got rank {rank} from {number} samples",
        str(caught.value),
    )
    assert said, str(caught.value)
    way_out = type(editor)(**{**vars(editor), "damping": float(said[1])})
    edited = way_out.apply(memory, BATCH)
    assert np.isfinite(naive.plain(edited.weight)).all()
    assert naive.plain(edited.weight).any()


def test_a_damping_below_the_rounding_of_the_moment_is_none() -> None:
    """A float32 C0 is known to 1e-7 of its size: 1e-12 beside it regularises rounding."""
    memory = LayerMemory(torch.zeros(3, D), moment(D, 25).float(), samples=25)
    for damping in (1e-12, 6e-8):  # the second is enough for Cholesky's method, and too little for an answer
        with pytest.raises(SingularError, match=r"got rank 25 from 25 samples$"):
            Encore(ridge=1.0, damping=damping).apply(memory, BATCH)


@pytest.mark.parametrize("decades", [0, 3, 6, 9])
def test_ill_conditioned_is_not_singular(decades: int) -> None:
    C = moment(D, 400, decades=decades)
    found = inverse(C, LayerMemory(torch.zeros(3, D), C), "damping")
    assert float((found @ C - torch.eye(D).double()).norm()) < 1e-4


def test_an_empty_null_space() -> None:
    C = torch.eye(D, dtype=torch.float64)
    with pytest.raises(
        SingularError, match=r"an eigenvalue below threshold=0\.02, got eigenvalues from 1 to"
    ):
        AlphaEdit().apply(LayerMemory(torch.zeros(3, D), C), BATCH)
