"""The embedded all-MiniLM-L6-v2: second feed-forward matrices, and keys of prompts that it was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sphere_theory.arrays import as_choice, as_count
from sphere_theory.code import code_hash
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.hosts.base import Host, Report, StreamSpec, quiet
from sphere_theory.hosts.edits import EditStream
from sphere_theory.hosts.keys import KINDS, SyntheticKeys
from sphere_theory.hosts.recorded import Recorded, recorded_once
from sphere_theory.hosts.synthetic import under_synthetic_keys
from sphere_theory.models import minilm_keys
from sphere_theory.models.datasets import PromptSet, counterfact, packaged_prompts
from sphere_theory.models.minilm import MINILM_FFN, MINILM_LAYERS, MINILM_OUTPUT, MINILM_SHA256
from sphere_theory.models.weights import load_layer


@dataclass(frozen=True)
class MiniLM(Host):
    """One layer of MiniLM: W of ``encoder.layer.{layer}.output.dense``, (384, 1536).

    Parameters
    ----------
    layer
        One of the layers 0 to 5. Default the middle one, 3.
    source
        "recorded": keys of prompts; "gaussian": keys with their second moment; otherwise a kind of
        `SyntheticKeys`. Default "recorded".
    data
        CounterFact file; None: the packaged prompts.
    spectrum, decay
        Of synthetic keys. Default "power" and 1.

    Raises
    ------
    RangeError
        A layer that is not there, or an unknown source.
    """

    layer: int = MINILM_LAYERS // 2
    source: str = "recorded"
    data: Path | None = None
    spectrum: str = "power"
    decay: float = 1.0

    name: ClassVar[str] = "minilm"
    title: ClassVar[str | None] = "MiniLM"
    varied: ClassVar[str] = "layer"
    # C0 stands for some 10⁴ to 10⁵ tokens; the released λ of 15,000 belongs to LLaMA3-8B, and hardly lets one
    # edit through here.
    editor_defaults: ClassVar[Mapping[str, Any]] = {"ridge": 15.0}

    def __post_init__(self) -> None:
        as_count(self.layer, "layer", low=0, high=MINILM_LAYERS - 1)
        as_choice(self.source, "source", ("recorded", *KINDS))

    @classmethod
    def layers(cls) -> tuple[MiniLM, ...]:
        """A host for each layer."""
        return tuple(cls(layer) for layer in range(MINILM_LAYERS))

    @property
    def tensor(self) -> str:
        """Name of its matrix."""
        return MINILM_FFN[self.layer][1]

    @property
    def weights(self) -> str:
        """As of `Host`."""
        return f"{self.title} layer {self.layer}"

    @property
    def label(self) -> str:
        """As of `Host`."""
        return self.weights

    @property
    def shape(self) -> tuple[int, int]:
        """As of `Host`."""
        return MINILM_OUTPUT

    def weight(self, seed: int = 0) -> Float[Tensor, "n d"]:
        """As of `Host`."""
        return torch.as_tensor(load_layer(self.name, self.tensor))

    def recorded(self, folder: Path, *, device: str = "cpu", report: Report = quiet) -> Recorded:
        """Keys of the prompts and C0 of their background, from the model or from an earlier call.

        Parameters
        ----------
        folder
            Where to keep them.
        device
            Where to run the model.
        report
            Told what is being done, and how many texts of how many are.

        Returns
        -------
        Recorded
            On the CPU.

        Raises
        ------
        ModelError, IntegrityError
            The model, or the file of prompts, cannot be found, read or trusted.
        StoreError
            The folder cannot be written.
        """
        prompts = packaged_prompts() if self.data is None else counterfact(self.data)
        return recorded_once(
            folder,
            f"{self.name}-{self.layer}",
            prompts,
            [MINILM_SHA256, code_hash(minilm_keys.__name__), self.layer],
            lambda: _record(self.layer, prompts, device, report),
        )

    def with_edits(
        self, W: Float[Tensor, "n d"], spec: StreamSpec, folder: Path, report: Report
    ) -> tuple[LayerMemory, EditStream]:
        """As of `Host`."""
        if self.source not in ("recorded", "gaussian"):
            keys = SyntheticKeys(self.source, self.spectrum, self.decay, spec.seed)
            return under_synthetic_keys(W, keys, spec)
        found = self.recorded(folder, device=spec.device, report=report)
        stream = found.stream(W, spec) if self.source == "recorded" else found.gaussian_stream(W, spec)
        return LayerMemory(W, found.second_moment.to(W.device), samples=found.samples), stream


def _record(layer: int, prompts: PromptSet, device: str, report: Report) -> dict[str, Tensor]:
    def keys(what: str, pairs: list[tuple[str, str]]) -> Tensor:
        watch = _told(report, what)
        return minilm_keys.minilm_subject_keys(layer, pairs, device=device, progress=watch).T.contiguous()

    C0, samples = minilm_keys.minilm_second_moment(
        layer, prompts.background, device=device, progress=_told(report, "second moment C0")
    )
    return {
        "keys": keys("keys", [(prompt.text, prompt.subject) for prompt in prompts.prompts]),
        "paraphrases": keys(
            "paraphrases", [(prompt.paraphrase, prompt.subject) for prompt in prompts.prompts]
        ),
        "preserved": keys("preserved keys", list(prompts.preserved)),
        "second_moment": C0,
        "samples": torch.tensor(samples),
    }


def _told(report: Report, what: str) -> Callable[[int, int], None]:
    return lambda done, total: report(what, done, total)
