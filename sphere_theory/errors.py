"""What can be wrong with an input; every error carries its numbers.

All of them are `SphereTheoryError`. Those that a caller's argument causes are `InputError`,
which is a `ValueError` too, and keep the four facts of the message as attributes, so that a
program can read what a person reads.
"""

from __future__ import annotations

from collections.abc import Sequence


class SphereTheoryError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(SphereTheoryError, ValueError):
    """An argument is not what the function is defined for.

    Parameters
    ----------
    argument
        Name of the argument, as in the function's signature.
    expected
        What the function is defined for, in words and symbols.
    got
        What was passed.
    where
        The first offending indices, when there are any; empty otherwise.
    """

    def __init__(self, argument: str, expected: str, got: str, where: Sequence[object] = ()) -> None:
        self.argument = argument
        self.expected = expected
        self.got = got
        self.where = tuple(where)
        place = f" (first at {', '.join(map(str, self.where))})" if self.where else ""
        super().__init__(f"{argument}: expected {expected}, got {got}{place}")

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str, tuple[object, ...]]]:
        # An exception's own way keeps the message alone, which is not what the constructor takes.
        return type(self), (self.argument, self.expected, self.got, self.where)


class ShapeError(InputError):
    """Wrong number of dimensions, an empty axis, or shapes that do not fit together."""


class DTypeError(InputError):
    """Not an array of real floating-point numbers, or of the wrong kind."""


class NonFiniteError(InputError):
    """NaN or infinity where a finite number is needed."""


class ZeroRowError(InputError):
    """A neuron of length zero, which has no direction."""


class CoincidentNeuronsError(InputError):
    """Two neurons share one direction, where the energy is infinite and has no gradient."""


class CertificateError(InputError):
    """An edit, or a size of edits, beyond a bound that needs neurons to keep apart (ledger B5, B10)."""


class RangeError(InputError):
    """A scalar outside its interval, or a name outside its list."""


class ModelError(InputError):
    """A model, file or tensor that cannot be found, read, or trusted."""


class UnknownTensorError(ModelError):
    """No tensor of that name; the message offers the nearest names."""


class IntegrityError(ModelError):
    """A file whose content is not what its checksum says."""


class SingularError(InputError):
    """A matrix that has to be inverted and has no inverse to working precision."""


class ClusterError(InputError):
    """Workers that cannot be reached, or cannot do what is asked of them."""


def first_line(error: BaseException) -> str:
    """Return an error's class and the first line of its text, which may run to a page.

    Parameters
    ----------
    error
        Any error.

    Returns
    -------
    str
        One line.
    """
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
