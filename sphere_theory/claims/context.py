"""What evidence needs to run: seed, budget, device, and the real layer with its keys."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from torch import Tensor

from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.models.minilm_keys import minilm_keys
from sphere_theory.models.weights import Checkpoint, open_checkpoint

T = TypeVar("T")


def _silent(message: str) -> None:
    """Report to nobody."""


@dataclass
class Context:
    """How evidence is run.

    Attributes
    ----------
    seed
        Seed of everything random.
    quick
        Whether to spend about a quarter of the budget.
    device
        Where measurements compute.
    report
        Told what is being run.
    """

    seed: int = 0
    quick: bool = False
    device: str = "cpu"
    report: Callable[[str], None] = field(default=_silent, repr=False)
    _found: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, name: Hashable, compute: Callable[[], T]) -> T:
        """What several claims rest on, computed for the first of them.

        Parameters
        ----------
        name
            What it is: one name, one computation.
        compute
            Computes it.

        Returns
        -------
        T
            Its result, the same object at every call.
        """
        if name not in self._found:
            self._found[name] = compute()
        found: T = self._found[name]
        return found

    @property
    def examples(self) -> int:
        """Hypothesis examples for each property and each mutant."""
        return 40 if self.quick else 200

    @property
    def middle(self) -> int:
        """The layer of the embedded model that is measured if only one is."""
        return MiniLM().layer

    @property
    def layers(self) -> tuple[int, ...]:
        """Transformer layers that are measured."""
        return (self.middle,) if self.quick else tuple(host.layer for host in MiniLM.layers())

    @property
    def audited(self) -> tuple[int, ...]:
        """Layers on which every kind of edit meets every kind of input: first, middle and last."""
        every = MiniLM.layers()
        return (self.middle,) if self.quick else (every[0].layer, self.middle, every[-1].layer)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The embedded model's weights."""
        return open_checkpoint(MiniLM.name)

    @cached_property
    def _keys(self) -> dict[int, Tensor]:
        self.report(f"running {MiniLM.title} on the embedded sentences")
        return {layer: keys.matrix for layer, keys in minilm_keys(device=self.device).items()}

    def weight(self, layer: int) -> Tensor:
        """W of ``encoder.layer.{layer}.output.dense``, (384, 1536), the second matrix of the FFN."""
        return self.checkpoint.matrix(MiniLM(layer).tensor).to(self.device)

    def keys(self, layer: int) -> Tensor:
        """Activations that enter it, (1536, tokens)."""
        return self._keys[layer]
