"""Keys are what enters the matrix they are keys of; their second moment is the plain formula."""

from __future__ import annotations

import logging
import subprocess
import sys

import numpy as np
import pytest
import torch
from naive import needs_minilm

from sphere_theory.errors import DTypeError, ModelError, NonFiniteError, RangeError, ShapeError
from sphere_theory.models import minilm_keys as ours
from sphere_theory.models.datasets import reference_sentences
from sphere_theory.models.minilm import MINILM_FFN, minilm_folder
from sphere_theory.models.minilm_keys import minilm_keys, minilm_second_moment, minilm_subject_keys
from sphere_theory.models.moments import second_moment
from sphere_theory.models.weights import load_layer

TEXTS = ("The heart pumps blood.", "Unbelievably, Paris!", "a", "One, two and three make six in all of it.")


# Second moment.


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("b", [1, 7, 1024, 2049])
def test_second_moment_is_the_mean_of_outer_products(kind, dtype, b):
    K = np.random.default_rng(b).normal(size=(5, b)).astype(dtype)
    C0 = second_moment(K if kind == "numpy" else torch.from_numpy(K))
    assert isinstance(C0, np.ndarray if kind == "numpy" else torch.Tensor)
    assert str(C0.dtype).removeprefix("torch.") == dtype
    oracle = sum(np.outer(k, k) for k in K.T.astype(np.float64)) / b
    np.testing.assert_allclose(np.asarray(C0), oracle, rtol=4 * np.finfo(dtype).eps, atol=1e-15 * b)


def test_second_moment_is_not_centred():
    K = np.full((2, 3), 5.0)
    np.testing.assert_array_equal(second_moment(K), np.full((2, 2), 25.0))


def test_second_moment_sums_in_float64():
    # In float32 the small key would vanish beside the large ones: 2^26 + 1 is no float32.
    K = torch.full((1, 2049), 2.0**7.5)
    K[0, -1] = 1.0
    exact = (2048 * float(K[0, 0]) ** 2 + 1) / 2049
    assert abs(float(second_moment(K.double())) - exact) <= 1e-12 * exact
    assert abs(float(second_moment(K)) - exact) <= 2**-24 * exact


def test_second_moment_widens_narrow_keys():
    assert second_moment(torch.full((2, 3), 300.0, dtype=torch.float16)).tolist() == [[9e4, 9e4], [9e4, 9e4]]


def test_second_moment_leaves_callers_settings_alone():
    K = torch.ones(2, 3, requires_grad=True)
    assert not second_moment(K).requires_grad
    assert torch.is_grad_enabled()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        (np.ones(3), ShapeError, r"keys: expected a matrix \(2 dimensions\), got shape \(3,\)"),
        (np.ones((3, 0)), ShapeError, r"keys: expected at least one row and one column"),
        (np.ones((2, 2), dtype=int), DTypeError, "keys: expected a numpy array or torch tensor"),
        ([[1.0]], DTypeError, "got builtins.list"),
        (np.array([[1.0, np.nan]]), NonFiniteError, r"first at \(0, 1\): nan"),
    ],
)
def test_bad_keys(keys, error, message):
    with pytest.raises(error, match=message):
        second_moment(keys)


# Sentences.


def test_there_are_320_different_plain_sentences():
    sentences = reference_sentences()
    assert len(sentences) == 320
    assert len({sentence.casefold() for sentence in sentences}) == 320
    for sentence in sentences:
        assert sentence == sentence.strip()
        assert 6 <= len(sentence.split()) <= 25, sentence
        assert sentence.isascii(), sentence
        assert sentence.endswith("."), sentence
        assert sentence[0].isupper(), sentence


# Keys.


@pytest.fixture(scope="module")
def keys():
    return minilm_keys(sentences=TEXTS)


@needs_minilm
def test_the_matrix_times_its_keys_is_what_the_module_puts_out(keys):
    import transformers

    folder = minilm_folder()
    with ours._quiet(transformers.utils.logging):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
    out: dict[int, list[torch.Tensor]] = {layer: [] for layer in range(6)}
    for layer in range(6):
        module = model.get_submodule(f"encoder.layer.{layer}.output.dense")
        module.register_forward_hook(lambda _module, _inputs, value, layer=layer: out[layer].append(value))
    with torch.no_grad():
        for text in TEXTS:
            # One sentence at a time: no padding, and [CLS] and [SEP] are the ends.
            model(**tokenizer(text, return_tensors="pt"))
    for layer, (_, down) in enumerate(MINILM_FFN):
        W, K = load_layer("minilm", down), keys[layer].matrix
        bias = model.get_parameter(down.replace("weight", "bias")).detach()
        expected = torch.cat([value[0, 1:-1] for value in out[layer]])
        assert K.shape == (1536, len(expected))
        assert K.dtype == torch.float32
        torch.testing.assert_close((W @ K + bias[:, None]).T, expected, rtol=1e-5, atol=1e-5)
        if layer:
            # The check has power: another layer's keys do not pass it.
            wrong = (W @ keys[layer - 1].matrix + bias[:, None]).T
            assert not torch.allclose(wrong, expected, rtol=1e-2, atol=1e-2)


@needs_minilm
def test_each_column_knows_its_sentence_and_token(keys):
    columns = keys[0]
    assert columns.token[:5] == ("the", "heart", "pumps", "blood", ".")
    assert columns.sentence[:5].tolist() == [0] * 5
    assert columns.position[:5].tolist() == [0, 1, 2, 3, 4]
    third = [column for column, sentence in enumerate(columns.sentence.tolist()) if sentence == 2]
    assert [columns.token[column] for column in third] == ["a"]
    assert len(columns.token) == len(columns.position) == len(columns.sentence) == columns.matrix.shape[1]
    assert not {"[CLS]", "[SEP]", "[PAD]"} & set(columns.token)
    assert any(token.startswith("##") for token in columns.token)


@needs_minilm
def test_special_tokens_spelt_out_in_a_text_do_not_count():
    columns = minilm_keys([0], sentences=["left [SEP] right [PAD]"])[0]
    assert columns.token == ("left", "right")
    assert columns.position.tolist() == [0, 2]


@needs_minilm
def test_the_same_sentences_give_the_same_bits(keys):
    again = minilm_keys([5, 1, 5], sentences=list(TEXTS))
    assert list(again) == [5, 1]
    for layer, columns in again.items():
        assert torch.equal(columns.matrix, keys[layer].matrix)
        assert columns.matrix.is_contiguous()


@needs_minilm
def test_batches_follow_one_another_and_are_reported(monkeypatch, keys):
    monkeypatch.setattr(ours, "POSITIONS", 24)
    seen: list[tuple[int, int]] = []
    split = minilm_keys([2], sentences=TEXTS, progress=lambda done, total: seen.append((done, total)))[2]
    assert seen == [(2, 4), (3, 4), (4, 4)]
    assert split.token == keys[2].token
    assert torch.equal(split.sentence, keys[2].sentence)
    assert torch.equal(split.position, keys[2].position)
    torch.testing.assert_close(split.matrix, keys[2].matrix, rtol=1e-4, atol=1e-5)


@needs_minilm
def test_a_callers_default_dtype_and_autocast_do_not_reach_the_keys(keys):
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            again = minilm_keys([0], sentences=TEXTS)[0]
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(again.matrix, keys[0].matrix)


@needs_minilm
def test_a_run_is_silent_and_puts_the_loggers_back(capfd):
    from transformers.utils import logging as transformers_logging

    before = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    minilm_keys([0], sentences=TEXTS)
    assert (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()) == before
    assert transformers_logging.get_verbosity() < logging.CRITICAL
    assert capfd.readouterr() == ("", "")


@needs_minilm
def test_all_layers_at_all_reference_sentences_in_one_fresh_process():
    code = (
        "from sphere_theory.models.minilm_keys import minilm_keys\n"
        "from sphere_theory.models.moments import second_moment\n"
        "keys = minilm_keys()\n"
        "print(*[tuple(columns.matrix.shape) for columns in keys.values()])\n"
        "C0 = second_moment(keys[3].matrix)\n"
        "print(tuple(C0.shape), int(keys[3].sentence.max()))"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == " ".join(["(1536, 4431)"] * 6) + "\n(1536, 1536) 319\n"
    assert done.stderr == ""


@needs_minilm
@pytest.mark.gpu
def test_keys_on_a_gpu_agree_with_those_on_the_cpu(keys):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    there = minilm_keys([3], sentences=TEXTS, device="cuda")[3]
    assert there.matrix.is_cuda
    torch.testing.assert_close(there.matrix.cpu(), keys[3].matrix, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("unchecked")
@needs_minilm
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": []}, r"layers: expected at least one of the layers 0 to 5, got \[\]"),
        ({"layers": 3}, "layers: expected at least one of the layers 0 to 5, got 3"),
        ({"layers": [6]}, "layers: expected an integer ≥ 0 and ≤ 5, got 6"),
        ({"layers": [-1]}, "layers: expected an integer ≥ 0 and ≤ 5, got -1"),
        ({"layers": [0.0]}, r"layers: expected an integer ≥ 0, got 0\.0"),
        ({"sentences": []}, r"sentences: expected at least one sentence, in a sequence of strings, got \[\]"),
        ({"sentences": "one text"}, "in a sequence of strings, got 'one text'"),
        (
            {"sentences": ["fine", " \n"]},
            r"sentences: expected text in every sentence, got ' \\n' \(first at 1\)",
        ),
        ({"sentences": ["fine", 3]}, r"text in every sentence, got 3 \(first at 1\)"),
        (
            {"sentences": ["fine"] * 40 + ["word " * 511]},
            r"at most 510 tokens a sentence, got 511 \(first at 40\)",
        ),
        ({"sentences": ["fine", "[SEP]"]}, r"a token in every sentence, got '\[SEP\]' \(first at 1\)"),
        ({"device": "nowhere"}, "device: expected a device that torch can use here, got 'nowhere'"),
        ({"device": "meta"}, "device: expected a device that torch can use here, got 'meta'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(RangeError, match=message):
        minilm_keys(**arguments)


@needs_minilm
def test_the_longest_sentence_that_fits_is_taken():
    assert minilm_keys([0], sentences=["word " * 510])[0].matrix.shape == (1536, 510)


@needs_minilm
def test_without_transformers_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"transformers installed: pip install 'sphere-theory\[models\]'"):
        minilm_keys(sentences=TEXTS)


# Keys of subjects.

# Text, subject, and the token that the subject ends with.
SUBJECTS = [
    ("The river through Lisbon is", "Lisbon", "lisbon"),
    ("Marie Curie worked in", "Marie Curie", "##rie"),
    ("Who fed Przewalski's horse?", "Przewalski", "##ski"),
    ("Artists paint art for art lovers", "art", "art"),
    ("A party for art", "art", "art"),
    ("Nothing happens here", "", "here"),
    ("The cartwheel spins", "art", "cart"),
    ("Straße und Öl", "Öl", "ol"),
    ("(Paris), the town", "Paris", "paris"),
    ("It is C++", "C++", "+"),
]


def test_a_subject_ends_where_it_first_stands_as_a_word():
    assert ours._end_of("art", "Artists party for art, art") == len("Artists party for art")
    assert ours._end_of("art", "the party") == len("the part")
    assert ours._end_of("", "the party") == len("the party")
    assert ours._end_of("cat", "the party") is None
    assert ours._end_of("C++", "in C++, not C") == len("in C++")


@needs_minilm
def test_subject_keys_are_columns_of_all_keys():
    """The column of the subject's last token, which is looked up by hand."""
    found = minilm_subject_keys(3, [(text, subject) for text, subject, _ in SUBJECTS])
    assert found.shape == (1536, len(SUBJECTS))
    assert (found.dtype, found.is_contiguous()) == (torch.float32, True)
    whole = minilm_keys([3], sentences=[text for text, _, _ in SUBJECTS])[3]
    for place, (text, subject, token) in enumerate(SUBJECTS):
        columns = [c for c, s in enumerate(whole.sentence.tolist()) if s == place]
        ends = [c for c in columns if whole.token[c] == token]
        # Among equal tokens: the first that stands as a word, and the last of a text.
        wanted = ends[-1] if not subject or token.startswith("+") else ends[0]
        assert torch.equal(found[:, place], whole.matrix[:, wanted]), (text, subject, whole.token)


@needs_minilm
def test_subject_keys_do_not_depend_on_the_batch_beyond_rounding(monkeypatch):
    pairs = [(text, subject) for text, subject, _ in SUBJECTS]
    whole, C0 = minilm_subject_keys(2, pairs), minilm_second_moment(2, TEXTS)
    monkeypatch.setattr(ours, "POSITIONS", 24)
    seen: list[tuple[int, int]] = []
    split = minilm_subject_keys(2, pairs, progress=lambda done, total: seen.append((done, total)))
    assert len(seen) > 2
    assert seen[-1] == (len(pairs), len(pairs))
    torch.testing.assert_close(split, whole, rtol=1e-4, atol=1e-5)
    again, samples = minilm_second_moment(2, TEXTS)
    assert samples == C0[1]
    torch.testing.assert_close(again, C0[0], rtol=1e-4, atol=1e-6)


@needs_minilm
def test_the_second_moment_of_sentences_is_that_of_their_keys(keys):
    for layer in (0, 5):
        found, samples = minilm_second_moment(layer, TEXTS)
        K = keys[layer].matrix.double()
        assert (found.dtype, samples) == (torch.float64, K.shape[1])
        torch.testing.assert_close(found, K @ K.T / samples, rtol=1e-12, atol=1e-12)
        assert torch.equal(found, found.T)


@pytest.mark.usefixtures("unchecked")
@needs_minilm
@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([], r"prompts: expected at least one sentence, in a sequence of strings, got \[\]"),
        (["The sea"], r"prompts: expected pairs of a text and its subject, got 'The sea' \(first at 0\)"),
        ([("The sea", "sea"), ("The sea", None)], r"got \('The sea', None\) \(first at 1\)"),
        (
            [("The sea", "sea"), (" ", "")],
            r"prompts: expected text in every sentence, got ' ' \(first at 1\)",
        ),
        (
            [("The sea", "sea"), ("The sea", "lake")],
            r"prompts: expected the subject inside its text, got 'lake' in 'The sea' \(first at 1\)",
        ),
        ([("​ the sea", "​")], r"prompts: expected a token in every subject"),
        ([("The sea [SEP]", "sea"), ("word " * 511, "word")], "at most 510 tokens a sentence, got 511"),
    ],
)
def test_subjects_that_are_not_there(prompts, message):
    with pytest.raises(RangeError, match=message):
        minilm_subject_keys(3, prompts)


@pytest.mark.usefixtures("unchecked")
@needs_minilm
@pytest.mark.parametrize("call", [minilm_subject_keys, minilm_second_moment])
def test_layers_that_are_not_there(call):
    with pytest.raises(RangeError, match="layers: expected an integer ≥ 0 and ≤ 5, got 6"):
        call(6, [("The sea", "sea")])
    with pytest.raises(RangeError, match="device: expected a device that torch can use here, got 'nowhere'"):
        call(3, [("The sea", "sea")] if call is minilm_subject_keys else TEXTS, device="nowhere")
