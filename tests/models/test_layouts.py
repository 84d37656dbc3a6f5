"""Linear or Conv1D: known by shapes and by family, the nearest shape first, and asked for without either."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from checkpoint_factory import UP, matrix, write_shards
from safetensors.torch import save_file

from sphere_theory.errors import ModelError
from sphere_theory.models.layouts import seen_layout
from sphere_theory.models.weights import load_layer


def stated(model: torch.nn.Module, folder: Path, **config: object) -> Path:
    folder.mkdir(exist_ok=True)
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()}, folder / "m.safetensors"
    )
    if config:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def tiny_gpt2():
    from transformers import GPT2Config, GPT2Model

    torch.manual_seed(0)
    config = GPT2Config(n_embd=8, n_layer=2, n_head=2, vocab_size=11, n_positions=6, add_cross_attention=True)
    return GPT2Model(config).eval()


def tiny_openai_gpt():
    from transformers import OpenAIGPTConfig, OpenAIGPTModel

    torch.manual_seed(0)
    return OpenAIGPTModel(OpenAIGPTConfig(n_embd=8, n_layer=1, n_head=2, vocab_size=11, n_positions=6)).eval()


def tiny_bigcode():
    from transformers import GPTBigCodeConfig, GPTBigCodeModel

    torch.manual_seed(0)
    config = GPTBigCodeConfig(n_embd=8, n_layer=2, n_head=2, vocab_size=11, n_positions=6)
    return GPTBigCodeModel(config).eval()


def tiny_llama():
    from transformers import LlamaConfig, LlamaModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    return LlamaModel(LlamaConfig(**sizes, **heads, vocab_size=11, max_position_embeddings=6)).eval()


FAMILIES = [
    (tiny_gpt2, "gpt2"),
    (tiny_openai_gpt, "openai-gpt"),
    (tiny_bigcode, "gpt_bigcode"),
    (tiny_llama, "llama"),
]


@pytest.mark.parametrize(("build", "family"), FAMILIES)
@pytest.mark.parametrize("evidence", ["config and shapes", "shapes alone", "the module"])
def test_each_loaded_matrix_does_what_its_module_does(build, family, evidence, tmp_path):
    model = build()
    folder = stated(model, tmp_path, **({"model_type": family} if evidence == "config and shapes" else {}))
    given = model if evidence == "the module" else folder
    checked = 0
    for name, module in model.named_modules():
        if type(module).__name__ not in {"Conv1D", "Linear"}:
            continue
        W = load_layer(given, f"{name}.weight").detach()
        k = matrix(W.shape[1], 3, checked).T
        b = 0 if module.bias is None else module.bias.detach()[:, None]
        assert torch.allclose(W @ k.T + b, module(k).detach().T, atol=1e-6), name
        assert W.is_contiguous()
        checked += 1
    assert checked >= 4


def test_gpt2_without_the_turn_would_be_another_matrix(tmp_path):
    # The check above has power: a square projection fits either way round and only one is right.
    model = tiny_gpt2()
    name = "h.0.attn.c_proj"
    folder = stated(model, tmp_path, model_type="gpt2")
    module = model.get_submodule(name)
    k = matrix(8, 3)
    right, wrong = (load_layer(folder, f"{name}.weight", layout=layout) for layout in ("conv1d", "linear"))
    out = (module(k.T) - module.bias).detach().T
    assert torch.allclose(right @ k, out, atol=1e-6)
    assert not torch.allclose(wrong @ k, out, atol=1e-2)


def test_embeddings_keep_a_token_a_row(tmp_path):
    model = tiny_gpt2()
    folder = stated(model, tmp_path, model_type="gpt2")
    assert torch.equal(load_layer(folder, "wte.weight"), model.wte.weight.detach())
    assert torch.equal(load_layer(folder, "wpe.weight"), model.wpe.weight.detach())


@pytest.mark.parametrize(
    ("family", "turned"), [("imagegpt", True), ("decision_transformer", True), ("qwen", False)]
)
def test_the_family_decides_when_there_is_no_shape_to_see(family, turned, tmp_path):
    W = matrix(4, 4)
    save_file({"h.0.attn.c_proj.weight": W}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))
    assert torch.equal(load_layer(tmp_path, "h.0.attn.c_proj.weight"), W.T if turned else W)


def test_a_family_of_another_name_is_known_by_its_shapes(tmp_path):
    save_file(
        {"h.0.attn.c_attn.weight": matrix(4, 12), "h.0.attn.c_proj.weight": matrix(4, 4)},
        tmp_path / "m.safetensors",
    )
    (tmp_path / "config.json").write_text('{"model_type": "jais"}')
    assert torch.equal(load_layer(tmp_path, "h.0.attn.c_proj.weight"), matrix(4, 4).T)


def test_a_narrow_feed_forward_block_does_not_mislead():
    # c_fc may have fewer outputs than inputs; c_attn may not, and is asked first.
    narrow = {"h.0.attn.c_attn.weight": matrix(8, 24), "h.0.mlp.c_fc.weight": matrix(8, 2)}
    assert load_layer(narrow, "h.0.mlp.c_fc.weight").shape == (2, 8)


@pytest.mark.parametrize("ending", ["c_attn", "c_proj", "c_fc", "q_attn", "c_proj.base_layer"])
def test_without_evidence_the_caller_is_asked(ending):
    name = f"h.0.{ending}.weight"
    W = matrix(4, 4)
    with pytest.raises(ModelError, match=r"layout: expected 'linear' or 'conv1d' for .* got 'auto' without"):
        load_layer({name: W}, name)
    assert torch.equal(load_layer({name: W}, name, layout="linear"), W)
    assert torch.equal(load_layer({name: W}, name, layout="conv1d"), W.T)


def test_contradicting_evidence_is_refused(tmp_path):
    save_file(
        {"h.0.attn.c_attn.weight": matrix(12, 4), "h.0.attn.c_proj.weight": matrix(4, 4)},
        tmp_path / "m.safetensors",
    )
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(
        ModelError, match=r"Conv1D from config\.json \(model_type 'gpt2'\) but Linear from the shapes"
    ):
        load_layer(tmp_path, "h.0.attn.c_proj.weight")
    assert load_layer(tmp_path, "h.0.attn.c_proj.weight", layout="linear").shape == (4, 4)


def test_an_explicit_layout_turns_any_tensor(tensors):
    W = load_layer(tensors, UP, layout="conv1d")
    assert torch.equal(W, tensors[UP].T)
    assert W.is_contiguous()


def test_the_layout_is_looked_for_in_the_neighbourhood(opened, tmp_path):
    shards = {
        f"model-{i}.safetensors": {
            f"h.{i}.attn.c_attn.weight": matrix(4, 12),
            f"h.{i}.attn.c_proj.weight": matrix(4, 4, i),
        }
        for i in range(12)
    }
    write_shards(tmp_path, shards)
    assert torch.equal(load_layer(tmp_path, "h.11.attn.c_proj.weight"), matrix(4, 4, 11).T)
    assert {name for kind, name in opened if kind == "open"} == {"model-11.safetensors"}


def test_a_broken_config_is_noticed_when_it_is_needed(tmp_path):
    save_file({"h.0.c_proj.weight": matrix(2, 2), "w": matrix(2, 2)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{")
    assert load_layer(tmp_path, "w").shape == (2, 2)
    with pytest.raises(ModelError, match=r"a readable JSON file, got .*config\.json"):
        load_layer(tmp_path, "h.0.c_proj.weight")


def test_the_nearest_shape_is_asked_and_c_fc_last():
    """In one block of GPT-2 beside one of nanoGPT; each shape is looked at only when it is its turn."""
    shapes = {
        "h.0.attn.c_attn.weight": (4, 12),
        "h.1.attn.c_attn.weight": (12, 4),
        "h.2.attn.c_attn.weight": (4, 4),
        "h.2.mlp.c_fc.weight": (16, 4),
        "h.3.ln.weight": (4,),
    }
    asked: list[str] = []

    def shape(name: str) -> tuple[int, ...]:
        asked.append(name)
        return shapes[name]

    assert seen_layout("h.0.attn.c_proj.weight", list(shapes), shape) == "conv1d"
    assert seen_layout("h.1.attn.c_proj.weight", list(shapes), shape) == "linear"
    assert asked == ["h.0.attn.c_attn.weight", "h.1.attn.c_attn.weight"]
    assert (
        seen_layout("h.2.mlp.c_proj.weight", ["h.2.attn.c_attn.weight", "h.2.mlp.c_fc.weight"], shape)
        == "linear"
    )
    assert seen_layout("h.2.mlp.c_proj.weight", ["h.2.attn.c_attn.weight", "h.3.ln.weight"], shape) is None
