"""What every editor works on: a batch of keys with new values, and a layer that remembers.

All that one batch leaves for the next (past keys, inverses, accumulated errors) stands in the layer's memory,
as named tensors: so a run can be stopped, stored and taken up, and two runs never share anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_count, as_matrix, as_real_tensor, full_precision, like, require_finite
from sphere_theory.errors import DTypeError, RangeError, ShapeError
from sphere_theory.updates import LowRankUpdate, add_update

if TYPE_CHECKING:
    from sphere_theory.editing.editor import Editor

State = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class EditBatch:
    """Keys, and the values that the edited layer is to give them: W k ≈ v for each column.

    Parameters
    ----------
    keys
        K, (d, b), one key a column; numpy or torch.
    values
        V, (n, b), the wanted values, in the same order.

    Raises
    ------
    ShapeError
        Not matrices, empty, or with different numbers of columns.
    DTypeError, NonFiniteError
        Not real floating-point numbers; NaN or infinity.
    """

    keys: Any
    values: Any

    def __post_init__(self) -> None:
        columns = as_matrix(self.keys, "keys").shape[1]
        as_matrix(self.values, "values", columns=columns)

    @property
    def size(self) -> int:
        """The number b of edits."""
        return int(self.keys.shape[1])


@dataclass(frozen=True, eq=False)
class LayerMemory:
    """A layer under editing: its weights, what they should preserve, and what editors remember.

    Parameters
    ----------
    weight
        W, (n, d), the current weights; numpy or torch. Results come back in this kind.
    second_moment
        C0 = E[k kᵀ] of preserved keys, (d, d), symmetric and not centred; None for methods that use
        none. In float64 where it can be: a solve magnifies its rounding by its condition number.
    samples
        Number of keys behind C0, for the message when it is singular; None if not known.
    pretrained
        W0, (n, d), the weights before the first edit; None: `weight` itself.
    state
        What editors left for the next batch, by name. Empty at the start.
    edits
        Number of edits so far.
    editor
        Whose state it is; None if not known. Another editor refuses to go on from it.

    Raises
    ------
    ShapeError
        Not matrices, or of sizes that do not fit each other.
    DTypeError, NonFiniteError
        Not real floating-point numbers; NaN or infinity.
    RangeError
        `samples` or `edits` not a count.
    """

    weight: Any
    second_moment: Any = None
    samples: int | None = None
    pretrained: Any = None
    state: State = field(default_factory=dict, repr=False)
    edits: int = 0
    editor: Editor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        n, d = as_matrix(self.weight, "weight").shape
        if self.second_moment is not None:
            as_matrix(self.second_moment, "second_moment", rows=d, columns=d)
        if self.samples is not None:
            as_count(self.samples, "samples", low=1)
        as_count(self.edits, "edits", low=0)
        if self.pretrained is None:
            object.__setattr__(self, "pretrained", self.weight)
        else:
            as_matrix(self.pretrained, "pretrained", rows=n, columns=d)

    # The arrays were looked through when the layer was made: here they only become tensors, uncopied.

    @property
    def W(self) -> Float[Tensor, "n d"]:
        """The weights as a tensor."""
        return as_real_tensor(self.weight, "weight")

    @property
    def W0(self) -> Float[Tensor, "n d"]:
        """The weights before the first edit, as a tensor on the device of the weights."""
        return as_real_tensor(self.pretrained, "pretrained").to(self.W.device)

    def keys_and_values(self, batch: EditBatch) -> tuple[Float[Tensor, "d b"], Float[Tensor, "n b"]]:
        """A batch's K and V in float64 on the device of the weights.

        Parameters
        ----------
        batch
            Edits of this layer.

        Returns
        -------
        K, V
            (d, b) and (n, b).

        Raises
        ------
        DTypeError
            Not an `EditBatch`.
        ShapeError
            Keys or values of another length than the layer's.
        """
        if not isinstance(batch, EditBatch):
            raise DTypeError("batch", "an EditBatch", repr(batch))
        W = self.W
        K = as_matrix(batch.keys, "batch.keys", rows=W.shape[1])
        V = as_matrix(batch.values, "batch.values", rows=W.shape[0])
        return K.to(W.device, torch.float64), V.to(W.device, torch.float64)

    @full_precision()
    def keys_and_residual(self, batch: EditBatch) -> tuple[Float[Tensor, "d b"], Float[Tensor, "n b"]]:
        """A batch's K, and what W still lacks: R = V − WK, both in float64.

        Parameters
        ----------
        batch
            Edits of this layer.

        Returns
        -------
        K, R
            (d, b) and (n, b).

        Raises
        ------
        DTypeError, ShapeError
            As for `keys_and_values`.
        """
        K, V = self.keys_and_values(batch)
        return K, V - wide_product(self.W, K)

    def moment(self) -> Float[Tensor, "d d"]:
        """C0 in float64 on the device of the weights: a copy, if it is stored in float32.

        Returns
        -------
        Tensor
            (d, d).

        Raises
        ------
        ShapeError
            The layer was given none.
        """
        return self.stored_moment().double()

    def stored_moment(self) -> Float[Tensor, "d d"]:
        """C0 as it is stored, on the device of the weights.

        Returns
        -------
        Tensor
            (d, d), float32 or float64.

        Raises
        ------
        ShapeError
            The layer was given none.
        """
        if self.second_moment is None:
            d = self.W.shape[1]
            raise ShapeError(
                "memory.second_moment", f"C0 of shape ({d}, {d}), which this editor needs", "None"
            )
        return as_real_tensor(self.second_moment, "second_moment").to(self.W.device)

    def remembered(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        """What an earlier batch left under a name, or what the first one has to make.

        Parameters
        ----------
        name
            A name of the state.
        make
            Called if there is nothing of that name.

        Returns
        -------
        Tensor
            The stored tensor, or the new one.
        """
        return self.state[name] if name in self.state else make()

    @full_precision()
    def after(self, step: Step, edits: int) -> LayerMemory:
        """The layer after a step.

        Parameters
        ----------
        step
            What an editor made of a batch.
        edits
            Number of edits in it.

        Returns
        -------
        LayerMemory
            W + ΔW, with the state that the step leaves; this one is unchanged.

        Raises
        ------
        NonFiniteError
            W + ΔW overflows.
        """
        edited = add_update(self.W, step.update)
        require_finite(edited, "weight")
        weight = like(edited, self.weight)
        return self._with(weight=weight, state=step.state, edits=self.edits + edits, editor=None)

    def _with(self, **changes: Any) -> LayerMemory:
        # Not by dataclasses.replace, which would look through W, W0 and C0 again.
        later = copy(self)
        for name, value in changes.items():
            object.__setattr__(later, name, value)
        return later

    def at(self, weight: Float[Tensor, "n d"]) -> LayerMemory:
        """The same layer with other weights, and with what editors remember.

        Parameters
        ----------
        weight
            (n, d), finite, in the dtype and on the device of W.

        Returns
        -------
        LayerMemory
            A copy that shares all other arrays.
        """
        return self._with(weight=like(weight, self.weight))

    def edited_by(self, editor: Editor) -> LayerMemory:
        """The same layer, with its state marked as an editor's.

        Parameters
        ----------
        editor
            Whose it is.

        Returns
        -------
        LayerMemory
            A copy that shares all arrays.
        """
        return self._with(editor=editor)

    def require_state_of(self, editor: Editor) -> None:
        """Refuse state that another editor has left: an inverse of other weights is silently wrong.

        Parameters
        ----------
        editor
            Who is to go on.

        Raises
        ------
        RangeError
            There is state, and it is known to be of another editor, or of one with other hyperparameters.
        """
        if self.state and self.editor is not None and self.editor != editor:
            expected = f"a layer that only {editor} has edited (make a new LayerMemory of its weights)"
            raise RangeError("memory", expected, f"state of {self.editor}")


@dataclass(frozen=True, eq=False)
class Step:
    """What an editor makes of one batch.

    Attributes
    ----------
    update
        ΔW, a `LowRankUpdate` or, where the method has no low rank, a dense (n, d) tensor; of the
        dtype of the weights.
    state
        What it leaves for the next batch.
    seconds
        Where the time went, by name, as far as the editor tells it apart: "project".
    """

    update: LowRankUpdate | Tensor
    state: State = field(default_factory=dict, repr=False)
    seconds: Mapping[str, float] = field(default_factory=dict, repr=False)


def low_rank_step(
    memory: LayerMemory, left: Float[Tensor, "n k"], right: Float[Tensor, "d k"], state: State
) -> Step:
    """The step ΔW = L Rᵀ in the dtype of a layer's weights.

    Parameters
    ----------
    memory
        The layer.
    left, right
        L, (n, k), and R, (d, k), float64.
    state
        What the editor leaves for the next batch.

    Returns
    -------
    Step
        Of rank k.
    """
    W = memory.W
    return Step(LowRankUpdate(left.to(W), right.to(W)), state)


def require_nonzero_columns(matrix: Float[Tensor, "m b"], argument: str) -> None:
    """Refuse keys or values that have no direction.

    Parameters
    ----------
    matrix
        One key or value a column.
    argument
        Its name in the caller's signature.

    Raises
    ------
    RangeError
        A column of zeros; `where` is the first.
    """
    zero = (~matrix.any(dim=0)).nonzero().flatten()
    if len(zero):
        raise RangeError(
            argument, "no column of zeros (it has no direction)", str(len(zero)), [f"column {int(zero[0])}"]
        )


def wide_product(W: Float[Tensor, "n d"], X: Float[Tensor, "d b"]) -> Float[Tensor, "n b"]:
    """W X in float64, by blocks of rows: no float64 copy of W is made.

    Parameters
    ----------
    W
        Weights of any width, (n, d).
    X
        (d, b), float64.

    Returns
    -------
    Tensor
        (n, b), float64.
    """
    return torch.cat([rows.double() @ X for rows in W.split(512)])
