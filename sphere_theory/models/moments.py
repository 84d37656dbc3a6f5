"""Second moments of keys: what an editor is to preserve."""

from __future__ import annotations

from sphere_theory.arrays import A, as_matrix, full_precision, like
from sphere_theory.gram import gram_matrix


def second_moment(keys: A) -> A:
    """Return C0 = K Kᵀ / b, the second moment of keys, not centred.

    Sums are taken in float64.

    Parameters
    ----------
    keys
        K, (d, b), one key a column.

    Returns
    -------
    numpy array or Tensor
        C0, (d, d), of the keys' dtype (float32 for narrower ones), on their device.

    Raises
    ------
    ShapeError
        Not a matrix, or empty.
    DTypeError
        Not floating-point numbers of at most 64 bits.
    NonFiniteError
        NaN or infinity among the keys.

    Examples
    --------
    >>> import numpy as np
    >>> second_moment(np.array([[1.0, 3.0], [0.0, 2.0]]))
    array([[5., 3.],
           [3., 2.]])
    """
    K = as_matrix(keys, "keys")
    with full_precision():
        C0 = gram_matrix(K) / K.shape[1]
    return like(C0.to(K.dtype), keys)
