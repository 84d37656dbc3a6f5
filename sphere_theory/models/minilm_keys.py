"""Keys of the embedded MiniLM at chosen tokens.

The keys of all-MiniLM-L6-v2 are what enters the second matrix of each feed-forward block: the
columns k of v = W k for W = encoder.layer.{i}.output.dense.weight.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from sphere_theory.arrays import as_count, as_device, full_precision
from sphere_theory.errors import ModelError, RangeError
from sphere_theory.gram import gram_matrix
from sphere_theory.models.datasets import reference_sentences
from sphere_theory.models.minilm import MINILM_LAYERS, minilm_folder

# Token positions, padding included, in one forward pass. Few large passes, since many small ones crawl
# when cores are shared. The last bits of a result depend on it, hence it is no argument.
POSITIONS = 4096


@dataclass(frozen=True, eq=False)
class Keys:
    """Keys of one layer, and the tokens that they belong to.

    Attributes
    ----------
    matrix : Tensor
        K, (d, b) float32, one key a column.
    sentence : Tensor
        (b,) int64, the index of the column's sentence.
    position : Tensor
        (b,) int64, the place of the column's token in its sentence, from 0.
    token : tuple of str
        The b tokens, in the tokenizer's spelling: "##s" continues a word.
    """

    matrix: Float[Tensor, "d b"]
    sentence: Int64[Tensor, " b"]
    position: Int64[Tensor, " b"]
    token: tuple[str, ...]


def minilm_keys(
    layers: Sequence[int] | None = None,
    *,
    sentences: Sequence[str] | None = None,
    device: str | torch.device = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> dict[int, Keys]:
    """Return the keys of all-MiniLM-L6-v2 at every token of some sentences, in one pass for all layers.

    A key is the activation entering encoder.layer.{i}.output.dense. The sentences' own tokens count,
    [CLS], [SEP] and padding do not. The model runs in float32; same sentences and device, same bits.

    Parameters
    ----------
    layers
        Which of the layers 0 to 5; None for all.
    sentences
        Texts of at most 510 tokens each; None for `reference_sentences`.
    device
        Where to run the model and leave the keys.
    progress
        Called after each batch with the number of sentences done and of all.

    Returns
    -------
    dict of int to Keys
        For each layer K, (1536, b), columns in the order of the sentences and of their tokens.

    Raises
    ------
    RangeError
        A layer that is not there, no layer, no sentence, an empty one, one that is too long, a
        device that is not there.
    ModelError
        transformers is not installed, or the model is not within reach.
    IntegrityError
        The model's weights are not the published ones.
    """
    wanted = _as_layers(layers)
    texts = _as_sentences(sentences)
    minilm = _Minilm.load(as_device(device), wanted)
    ids = minilm.encoded(texts)
    parts: dict[int, list[Tensor]] = {layer: [] for layer in wanted}
    for batch in minilm.passes(ids, wanted, progress):
        for layer in wanted:
            parts[layer].append(batch.inputs[layer][batch.kept])
    columns = minilm.columns(ids)
    return {layer: Keys(torch.cat(part).T.contiguous(), *columns) for layer, part in parts.items()}


def minilm_subject_keys(
    layer: int,
    prompts: Sequence[tuple[str, str]],
    *,
    device: str | torch.device = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Float[Tensor, "d b"]:
    """Return the key of all-MiniLM-L6-v2 at the last token of each prompt's subject.

    That is where locate-then-edit methods read and write a fact (Meng et al. 2022, arXiv 2202.05262, §2).

    Parameters
    ----------
    layer
        One of the layers 0 to 5.
    prompts
        Pairs (text, subject); an empty subject stands for the last token of the text.
    device
        Where to run the model and leave the keys.
    progress
        Called after each batch with the number of prompts done and of all.

    Returns
    -------
    Tensor
        K, (1536, b) float32, columns in the order of the prompts.

    Raises
    ------
    RangeError
        A layer that is not there, no prompt, a text without its subject, one that is empty or too long.
    ModelError, IntegrityError
        As for `minilm_keys`.
    """
    wanted = _as_layers([layer])
    texts = _as_sentences(_texts_of(prompts), "prompts")
    minilm = _Minilm.load(as_device(device), wanted)
    ids, places = minilm.encoded(texts), minilm.last_tokens(prompts)
    parts = []
    for batch in minilm.passes(ids, wanted, progress):
        here = places[batch.start : batch.stop].to(batch.kept.device)
        parts.append(batch.inputs[layer][torch.arange(len(here), device=here.device), here])
    return torch.cat(parts).T.contiguous()


def minilm_second_moment(
    layer: int,
    sentences: Sequence[str],
    *,
    device: str | torch.device = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Float[Tensor, "d d"], int]:
    """Return C0 of all tokens of some sentences, and their number, without keeping the keys.

    Parameters
    ----------
    layer
        One of the layers 0 to 5.
    sentences
        Texts of at most 510 tokens each.
    device
        Where to run the model and leave C0.
    progress
        Called after each batch with the number of sentences done and of all.

    Returns
    -------
    C0
        (1536, 1536) float64.
    samples
        Number of tokens.

    Raises
    ------
    RangeError, ModelError, IntegrityError
        As for `minilm_keys`.
    """
    wanted = _as_layers([layer])
    texts = _as_sentences(sentences)
    minilm = _Minilm.load(as_device(device), wanted)
    total, samples = torch.zeros(()), 0
    for batch in minilm.passes(minilm.encoded(texts), wanted, progress):
        keys = batch.inputs[layer][batch.kept]
        total = gram_matrix(keys.T) + total
        samples += len(keys)
    return total / samples, samples


def _texts_of(prompts: Sequence[tuple[str, str]]) -> list[str]:
    for place, prompt in enumerate(prompts):
        if not isinstance(prompt, tuple) or len(prompt) != 2 or not isinstance(prompt[1], str):
            raise RangeError("prompts", "pairs of a text and its subject", repr(prompt), [place])
    return [text for text, _ in prompts]


def _end_of(subject: str, text: str) -> int | None:
    """Where a subject ends in a text: as a word if it stands there as one, else wherever it first occurs."""
    if not subject:
        return len(text)
    found = re.search(rf"(?<!\w){re.escape(subject)}(?!\w)", text) or re.search(re.escape(subject), text)
    return found.end() if found else None


@dataclass(frozen=True, eq=False)
class _Pass:
    """A forward pass: what entered the watched layers, (texts, positions, d), and which tokens are kept."""

    start: int
    stop: int
    inputs: dict[int, Tensor]
    kept: Tensor


@dataclass(frozen=True, eq=False)
class _Minilm:
    """Tokenizer and model, ready to run."""

    tokenizer: Any
    model: nn.Module
    device: torch.device

    @classmethod
    def load(cls, device: torch.device, layers: Sequence[int]) -> _Minilm:
        tokenizer, model = _minilm(minilm_folder(), device)
        # Layers above those that are watched would be computed for nobody.
        encoder: Any = model.get_submodule("encoder")
        encoder.layer = encoder.layer[: max(layers) + 1]
        return cls(tokenizer, model, device)

    @property
    def added(self) -> Tensor:
        """Ids of [CLS], [SEP] and padding, which are nobody's tokens."""
        own = self.tokenizer
        return torch.tensor([own.cls_token_id, own.sep_token_id, own.pad_token_id])

    def encoded(self, texts: Sequence[str]) -> list[Tensor]:
        return _encoded(self.tokenizer, texts, self.added)

    def columns(self, ids: list[Tensor]) -> tuple[Tensor, Tensor, tuple[str, ...]]:
        return _columns(self.tokenizer, ids, self.added)

    def last_tokens(self, prompts: Sequence[tuple[str, str]]) -> Int64[Tensor, " b"]:
        """Position in each text, [CLS] counted, of the token that ends its subject."""
        texts = [text for text, _ in prompts]
        spans = self.tokenizer(texts, return_offsets_mapping=True, verbose=False)["offset_mapping"]
        places = []
        for index, ((text, subject), offsets) in enumerate(zip(prompts, spans, strict=True)):
            end = _end_of(subject, text)
            if end is None:
                raise RangeError(
                    "prompts", "the subject inside its text", f"{subject!r} in {text!r}", [index]
                )
            # Added tokens span nothing. A token may reach beyond a subject that ends inside a word.
            until = [place for place, (low, high) in enumerate(offsets) if low < min(end, high)]
            if not until:
                raise RangeError("prompts", "a token in every subject", f"{subject!r} in {text!r}", [index])
            places.append(until[-1])
        return torch.tensor(places)

    def passes(
        self, ids: list[Tensor], layers: Sequence[int], progress: Callable[[int, int], None] | None
    ) -> Iterator[_Pass]:
        added = self.added
        watched = {layer: self.model.get_submodule(f"encoder.layer.{layer}.output.dense") for layer in layers}
        with _inputs_of(watched) as inputs:
            for start, stop in _batches([len(one) for one in ids]):
                batch, attended = _padded(ids[start:stop], self.tokenizer.pad_token_id)
                with full_precision():
                    self.model(input_ids=batch.to(self.device), attention_mask=attended.to(self.device))
                yield _Pass(start, stop, dict(inputs), (~torch.isin(batch, added)).to(self.device))
                if progress is not None:
                    progress(stop, len(ids))


def _as_layers(layers: Sequence[int] | None) -> tuple[int, ...]:
    if layers is None:
        return tuple(range(MINILM_LAYERS))
    if not isinstance(layers, Sequence) or not layers:
        expected = f"at least one of the layers 0 to {MINILM_LAYERS - 1}"
        raise RangeError("layers", expected, repr(layers))
    counts = (as_count(layer, "layers", low=0, high=MINILM_LAYERS - 1) for layer in layers)
    return tuple(dict.fromkeys(counts))


def _as_sentences(sentences: Sequence[str] | None, argument: str = "sentences") -> tuple[str, ...]:
    if sentences is None:
        return reference_sentences()
    expected = "at least one sentence, in a sequence of strings"
    if isinstance(sentences, str) or not isinstance(sentences, Sequence) or not sentences:
        raise RangeError(argument, expected, repr(sentences))
    for place, sentence in enumerate(sentences):
        if not isinstance(sentence, str) or not sentence.strip():
            raise RangeError(argument, "text in every sentence", repr(sentence), [place])
    return tuple(sentences)


def _minilm(folder: Path, device: torch.device) -> tuple[Any, nn.Module]:
    try:
        import transformers
    except ImportError as error:
        expected = "transformers installed: pip install 'sphere-theory[models]'"
        raise ModelError("model", expected, "'minilm' without it") from error
    local = {"local_files_only": True, "trust_remote_code": False}
    with _quiet(transformers.utils.logging):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="right", **local)
        model = transformers.AutoModel.from_pretrained(
            folder,
            use_safetensors=True,
            # The formula itself: no kernel chosen by device and shape.
            attn_implementation="eager",
            **local,
        )
    return tokenizer, model.to(device=device, dtype=torch.float32).eval()


@contextmanager
def _quiet(logging: ModuleType) -> Generator[None, None, None]:
    """Keep transformers from reporting each load; its settings are put back afterwards."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _inputs_of(modules: dict[int, nn.Module]) -> Generator[dict[int, Tensor], None, None]:
    """Keep what last entered each module, as long as the block runs."""
    seen: dict[int, Tensor] = {}

    def remember(key: int, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[key] = inputs[0]

    handles = [module.register_forward_pre_hook(partial(remember, key)) for key, module in modules.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _encoded(tokenizer: Any, texts: Sequence[str], added: Tensor) -> list[Tensor]:
    lists = tokenizer(list(texts), padding=False, truncation=False, verbose=False)["input_ids"]
    ids = [torch.tensor(one) for one in lists]
    for place, one in enumerate(ids):
        if len(one) > tokenizer.model_max_length:
            # [CLS] and [SEP] take two places.
            expected = f"at most {tokenizer.model_max_length - 2} tokens a sentence"
            raise RangeError("sentences", expected, f"{len(one) - 2}", [place])
        if torch.isin(one, added).all():
            raise RangeError("sentences", "a token in every sentence", repr(texts[place]), [place])
    return ids


def _batches(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    start, longest = 0, 0
    for stop, length in enumerate(lengths):
        longest = max(longest, length)
        if longest * (stop + 1 - start) > POSITIONS and stop > start:
            yield start, stop
            start, longest = stop, length
    yield start, len(lengths)


def _padded(ids: Sequence[Tensor], padding: int) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(one) for one in ids])
    batch = pad_sequence(list(ids), batch_first=True, padding_value=padding)
    return batch, (torch.arange(batch.shape[1]) < lengths[:, None]).long()


def _columns(tokenizer: Any, ids: Sequence[Tensor], added: Tensor) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    places = [(~torch.isin(one, added)).nonzero()[:, 0] for one in ids]
    sentence = torch.repeat_interleave(torch.tensor([len(own) for own in places]))
    token = tokenizer.convert_ids_to_tokens(
        torch.cat([one[own] for one, own in zip(ids, places, strict=True)]).tolist()
    )
    # [CLS] stands before the first token.
    return sentence, torch.cat(places) - 1, tuple(token)
