"""What is counted of an operation is what torch runs."""

from __future__ import annotations

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from sphere_theory.experiments.cost import OPERATIONS, Cost
from sphere_theory.experiments.cost_counts import COUNTS, Size, Terms, cycle, null_dimensions, widths


class Products(TorchDispatchMode):
    """Operations of matrix products, those that write in place included."""

    flops = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name()
        if name in ("aten::mm", "aten::addmm", "aten::addmm_", "aten::bmm"):
            left, right = args[-2:]
            self.flops += 2 * left.numel() * right.shape[-1]
        elif name in ("aten::mv", "aten::addmv"):
            self.flops += 2 * args[-2].numel()
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("operation", "size"),
    [
        ("energy", Size(4096, 256, 1)),
        ("energy update", Size(1024, 512, 40)),
        ("memit-seq", Size(64, 1024, 16)),
        ("alphaedit", Size(64, 1024, 16)),
        ("projection", Size(64, 256, 10)),
        ("covariance", Size(64, 1024, 1)),
        ("dual", Size(1024, 256, 1)),
        ("randomized", Size(300, 400, 1)),
    ],
)
def test_counted_products_are_those_that_torch_runs(operation, size):
    prepared = OPERATIONS[operation](Cost(operation, size.n, size.d, max(1, size.batch)))
    with Products() as counter:
        calls = [call() for call in prepared.calls()]
    expected = COUNTS[operation].terms(Size(size.n, size.d, size.batch, prepared.rank)).flops
    assert counter.flops / len(calls) == pytest.approx(expected, rel=0.25)


def test_a_repetition_of_an_editor_is_a_cycle_of_its_inverse():
    prepared = OPERATIONS["memit-seq"](Cost("memit-seq", 8, 64, batch=2))
    steps = [call() for call in prepared.calls()]
    assert len(steps) == cycle(64, 2) == 4
    # Thin factors gather, and the last step multiplies them out.
    assert ["inverse_recent" in step.state for step in steps] == [True, True, True, False]


def test_widths_double_until_they_hold_the_rank():
    assert widths(Size(1000, 2000, 1, 40)) == [64]
    assert widths(Size(1000, 2000, 1, 49)) == [64, 128]
    assert widths(Size(150, 2000, 1, 150)) == [64, 128, 150]


@pytest.mark.parametrize("name", COUNTS)
def test_more_of_a_layer_costs_more(name: str) -> None:
    """In every size that an operation depends on, and in none less."""
    small = COUNTS[name].terms(Size(64, 128, 8, 16))
    for larger in (Size(128, 128, 8, 16), Size(64, 256, 8, 16), Size(64, 128, 16, 16), Size(64, 128, 8, 32)):
        assert COUNTS[name].terms(larger).operations >= small.operations
    assert COUNTS[name].terms(Size(128, 256, 16, 32)).flops > small.flops
    assert COUNTS[name].held_bytes(Size(128, 256, 16, 32)) > COUNTS[name].held_bytes(Size(64, 128, 8, 16)) > 0


def test_operations_of_decompositions_count_and_bytes_do_not() -> None:
    assert Terms(10, 5, decomposes=True).operations == 15
    assert Terms(10, 5).operations == 10


def test_the_null_space_has_a_dimension_at_least() -> None:
    assert [null_dimensions(d) for d in (1, 2, 100)] == [1, 1, 75]
