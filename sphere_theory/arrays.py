"""Arrays at the door: numpy or torch in, one kind inside, the same kind out.

Every public function takes its arrays through `as_matrix` and hands its results back through
`like`. Inside there are torch tensors only, of dtype float32 or float64, on whatever device the
caller's array lives on.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from sphere_theory.errors import DTypeError, NonFiniteError, RangeError, ShapeError

Array: TypeAlias = np.ndarray | Tensor
A = TypeVar("A", np.ndarray, Tensor)

# Storage formats too coarse to compute in: widened to float32, which holds them exactly.
_NARROW = (torch.float16, torch.bfloat16)
WIDE = (torch.float32, torch.float64)


@contextmanager
def full_precision() -> Generator[None]:
    """Run a block with IEEE float32 products, without autocast and without autograd.

    A caller's TF32 or autocast setting would silently cost four digits; it is put back afterwards.

    Yields
    ------
    None
        The block runs under the setting.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.no_grad(), torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def as_matrix(value: object, argument: str, *, rows: int | None = None, columns: int | None = None) -> Tensor:
    """Return `value` as a finite, non-empty, two-dimensional float32 or float64 tensor.

    Nothing is copied where the dtype allows it. float16 and bfloat16 are widened to float32.

    Parameters
    ----------
    value
        A numpy array or torch tensor, (rows, columns).
    argument
        Its name in the caller's signature, for the message.
    rows, columns
        The lengths that the caller needs, when they are fixed.

    Returns
    -------
    Tensor
        The same numbers, detached.

    Raises
    ------
    ShapeError
        Not two-dimensional, empty, or of other lengths than asked for.
    NonFiniteError
        Holds NaN or infinity; `where` is the first such (row, column).
    """
    matrix = as_real_tensor(value, argument)
    if matrix.ndim != 2:
        raise ShapeError(argument, "a matrix (2 dimensions)", f"shape {tuple(matrix.shape)}")
    if 0 in matrix.shape:
        raise ShapeError(argument, "at least one row and one column", f"shape {tuple(matrix.shape)}")
    for axis, wanted in ((0, rows), (1, columns)):
        if wanted is not None and matrix.shape[axis] != wanted:
            expected = f"({'any' if rows is None else rows}, {'any' if columns is None else columns})"
            raise ShapeError(argument, f"shape {expected}", f"shape {tuple(matrix.shape)}")
    require_finite(matrix, argument)
    return matrix


def as_real_tensor(value: object, argument: str) -> Tensor:
    """Return `value` as a detached float32 or float64 tensor of any shape.

    Parameters
    ----------
    value
        A numpy array or torch tensor of real floating-point numbers.
    argument
        Its name in the caller's signature.

    Returns
    -------
    Tensor
        A view where the dtype allows it, else a widened copy.

    Raises
    ------
    DTypeError
        Neither a numpy array nor a torch tensor, or not of a floating-point dtype of at most 64 bits.
    """
    wanted = "a numpy array or torch tensor of dtype float16, bfloat16, float32 or float64"
    if isinstance(value, np.ndarray):
        if value.dtype.newbyteorder("=") not in (np.float16, np.float32, np.float64):
            raise DTypeError(argument, wanted, f"a numpy array of dtype {value.dtype}")
        tensor = _from_numpy(value)
    elif isinstance(value, Tensor):
        tensor = value.detach()
        if tensor.layout is not torch.strided:
            raise DTypeError(argument, "a dense tensor", f"layout {tensor.layout}")
    else:
        raise DTypeError(argument, wanted, f"{type(value).__module__}.{type(value).__qualname__}")
    if tensor.dtype in _NARROW:
        return tensor.float()
    if tensor.dtype not in WIDE:
        raise DTypeError(argument, wanted, f"a tensor of dtype {tensor.dtype}")
    return tensor


def _from_numpy(array: np.ndarray) -> Tensor:
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    # torch takes neither negative strides nor a field of packed records.
    if any(stride < 0 or stride % native.itemsize for stride in native.strides):
        native = np.ascontiguousarray(native)
    with warnings.catch_warnings():
        # torch warns that it cannot honour read-only memory; nothing here writes to an input.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(native)


def require_finite(tensor: Tensor, argument: str) -> None:
    """Refuse NaN and infinity.

    Parameters
    ----------
    tensor
        What to look through.
    argument
        Its name in the caller's signature.

    Raises
    ------
    NonFiniteError
        With the first offending index in `where`.
    """
    # The extremes carry every NaN and infinity, and finding them is one pass at memory speed.
    low, high = torch.aminmax(tensor)
    if math.isfinite(low) and math.isfinite(high):
        return
    bad = (~torch.isfinite(tensor)).nonzero()
    first = tuple(bad[0].tolist())
    got = f"{len(bad)} of {tensor.numel()} entries NaN or infinite"
    raise NonFiniteError(argument, "finite numbers", got, [f"{first}: {float(tensor[first])}"])


def as_real(
    value: object, argument: str, *, low: float, high: float = math.inf, low_open: bool = False
) -> float:
    """Return `value` as a float inside an interval.

    Parameters
    ----------
    value
        A real number.
    argument
        Its name in the caller's signature.
    low, high
        The closed interval.
    low_open
        Whether `low` itself is excluded.

    Returns
    -------
    float
        The number.

    Raises
    ------
    RangeError
        Not a number, NaN, infinite, or outside the interval.
    """
    end = "∞)" if math.isinf(high) else f"{high:g}]"
    expected = f"a number in {'(' if low_open else '['}{low:g}, {end}"
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
        raise RangeError(argument, expected, repr(value))
    try:
        number = float(value)
    except OverflowError:  # an integer beyond float64
        number = math.inf
    if not math.isfinite(number) or number < low or number > high or (low_open and number == low):
        raise RangeError(argument, expected, repr(value))
    return number


def as_count(value: object, argument: str, *, low: int, high: int | None = None) -> int:
    """Return `value` as an integer of at least `low` and at most `high`.

    Parameters
    ----------
    value
        An integer.
    argument
        Its name in the caller's signature.
    low, high
        The smallest and the largest allowed value; None for no largest.

    Returns
    -------
    int
        The number.

    Raises
    ------
    RangeError
        Not an integer, or outside the interval.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise RangeError(argument, f"an integer ≥ {low}", repr(value))
    if value < low or (high is not None and value > high):
        raise RangeError(
            argument, f"an integer ≥ {low}" + (f" and ≤ {high}" if high is not None else ""), repr(value)
        )
    return int(value)


def as_choice(value: object, argument: str, choices: tuple[str, ...]) -> str:
    """Return `value` when it is one of `choices`.

    Parameters
    ----------
    value
        A name.
    argument
        Its name in the caller's signature.
    choices
        The names that are allowed.

    Returns
    -------
    str
        The name.

    Raises
    ------
    RangeError
        Any other value.
    """
    if not isinstance(value, str) or value not in choices:
        raise RangeError(argument, "one of " + ", ".join(map(repr, choices)), repr(value))
    return value


def frobenius(matrix: Tensor) -> float:
    """Frobenius norm in float64, of numbers however large or small.

    Parameters
    ----------
    matrix
        Any shape.

    Returns
    -------
    float
        √Σ x²; squares that would overflow or vanish are scaled first.
    """
    norm = float(torch.linalg.vector_norm(matrix, dtype=torch.float64))
    if 1e-140 < norm < math.inf:
        return norm
    peak = float(matrix.abs().max()) if matrix.numel() else 0.0
    return peak * float(torch.linalg.vector_norm(matrix.double() / peak)) if peak else 0.0


def like(tensor: Tensor, model: object) -> Any:
    """Return `tensor` as the same kind of array as `model`, on the same device.

    Parameters
    ----------
    tensor
        A result.
    model
        The caller's array that decides the kind.

    Returns
    -------
    numpy array or Tensor
        The result, without a copy where there is one memory.
    """
    if isinstance(model, np.ndarray):
        return tensor.cpu().numpy()
    return tensor


def as_device(device: str | torch.device) -> torch.device:
    """A device that is there and holds numbers.

    Parameters
    ----------
    device
        Its name.

    Returns
    -------
    torch.device
        With its index.

    Raises
    ------
    RangeError
        torch cannot compute on it here.
    """
    try:
        # A device may be spelt well and yet be missing, or hold no numbers: only using it tells.
        probe = torch.zeros(1, device=device)
        probe.item()
    # torch has no error of its own for it: each kind of device raises one of these.
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        expected = "a device that torch can use here"
        raise RangeError("device", expected, repr(device)) from error
    return probe.device
