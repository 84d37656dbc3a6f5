"""Weights of a model by their names: the right way round, as numbers that can be computed with."""

from __future__ import annotations

from pathlib import Path

import naive
import pytest
import torch
from checkpoint_factory import UP, as_file, matrix, raw_safetensors

from sphere_theory.errors import (
    DTypeError,
    ModelError,
    NonFiniteError,
    RangeError,
    ShapeError,
    SphereTheoryError,
    UnknownTensorError,
)
from sphere_theory.models.weights import load_layer, open_checkpoint


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_neurons_that_are_no_numbers(value, tensors):
    tensors[UP][4, 1] = value
    checkpoint = open_checkpoint(tensors)
    assert torch.equal(checkpoint.rows(UP, 0, 4), tensors[UP][:4])
    message = (
        f"{UP}[3:6]: expected finite numbers, got 1 of 12 entries NaN or infinite (first at (1, 1): {value})"
    )
    naive.check_refused(lambda: checkpoint.rows(UP, 3, 6), NonFiniteError, message)


def test_a_folder_and_a_file_may_be_given_as_strings(tensors, tmp_path):
    path = as_file(tensors, tmp_path)
    assert torch.equal(load_layer(str(path), UP), tensors[UP])
    assert torch.equal(load_layer(str(tmp_path), UP), tensors[UP])


def test_layers_are_listed_in_the_order_of_their_numbers():
    names = [f"h.{i}.w" for i in (10, 2, 1, 0)]
    listed = open_checkpoint(dict.fromkeys(names, torch.ones(2, 2))).names
    assert listed == ("h.0.w", "h.1.w", "h.2.w", "h.10.w")


# Dtypes.


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float8_e4m3fn, torch.float32),
        (torch.float8_e5m2, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
@pytest.mark.parametrize("as_dict", [False, True])
def test_narrow_floats_are_widened_exactly_and_wide_ones_kept(stored, read, as_dict, tmp_path):
    tensors = {"w": matrix(5, 3).to(stored)}
    model = tensors if as_dict else as_file(tensors, tmp_path)
    W = load_layer(model, "w")
    assert open_checkpoint(model).dtype("w") == str(stored).removeprefix("torch.")
    assert W.dtype == read
    assert torch.equal(W, tensors["w"].to(read))


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.uint8, torch.int32, torch.int64, torch.bool, torch.complex64]
)
def test_integers_and_complex_numbers_are_refused_by_name(dtype, tmp_path):
    path = as_file({"w": torch.ones(2, 2).to(dtype)}, tmp_path)
    with pytest.raises(DTypeError, match=f"tensor_name='w': .* got dtype {str(dtype)[6:]}$"):
        load_layer(path, "w")
    assert open_checkpoint(path).matrices() == ()


@pytest.mark.parametrize(("code", "size"), [("F4", 2), ("F8_E8M0", 4)])
def test_storage_formats_of_quantised_models_are_refused(code, size, tmp_path):
    path = tmp_path / "q.safetensors"
    raw_safetensors(path, {"w": {"dtype": code, "shape": [2, 2], "data_offsets": [0, size]}}, bytes(size))
    with pytest.raises(DTypeError, match="expected plain floating-point numbers"):
        load_layer(path, "w")


def test_float8_with_a_scale_beside_it_is_not_the_weight():
    scaled = {"w.weight": matrix(4, 4).to(torch.float8_e4m3fn), "w.weight_scale_inv": torch.ones(1, 1)}
    with pytest.raises(DTypeError, match=r"quantised: 'w\.weight_scale_inv' scales it"):
        load_layer(scaled, "w.weight")


# torch warns that the kind goes away; while it is there it is refused.
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_quantised_torch_tensors_are_refused():
    quantised = torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8)
    with pytest.raises(DTypeError, match="got dtype qint8"):
        load_layer({"w": quantised}, "w")


# What cannot be found or is no matrix of numbers.


NAN, INF = float("nan"), float("inf")


BAD_TENSORS = [
    (torch.ones(3), ShapeError, r"tensor_name='w': expected a matrix \(2 dimensions\), got shape \(3,\)"),
    (torch.ones(2, 2, 2), ShapeError, r"expected a matrix \(2 dimensions\), got shape \(2, 2, 2\)"),
    (torch.ones(()), ShapeError, r"expected a matrix \(2 dimensions\), got shape \(\)"),
    (torch.ones(0, 2), ShapeError, r"expected at least one row and one column, got shape \(0, 2\)"),
    (torch.tensor([[1.0, NAN]]), NonFiniteError, r"tensor_name='w': .*first at \(0, 1\): nan"),
    (torch.tensor([[1.0], [INF]]).half(), NonFiniteError, r"first at \(1, 0\): inf"),
    (torch.tensor([[NAN]]).to(torch.float8_e5m2), NonFiniteError, r"first at \(0, 0\): nan"),
    (torch.ones(2, 2, dtype=torch.int8), DTypeError, "got dtype int8"),
]


@pytest.mark.parametrize(("tensor", "error", "message"), BAD_TENSORS)
@pytest.mark.parametrize("as_dict", [False, True])
def test_bad_tensors(tensor, error, message, as_dict, tmp_path):
    model = {"w": tensor} if as_dict else as_file({"w": tensor}, tmp_path)
    with pytest.raises(error, match=message):
        load_layer(model, "w")


BAD_MODELS = [
    (
        None,
        "'minilm', a folder, a file, a hub id, a mapping of names to tensors, or a module, "
        "got builtins.NoneType",
    ),
    (torch.ones(2, 2), "got torch.Tensor"),
    (b"minilm", "got builtins.bytes"),
    ({"w": [[1.0]]}, "expected names and tensors only in the state dict, got 'w' of builtins.list"),
    ({0: torch.ones(2, 2)}, "expected names and tensors only in the state dict, got 0 of torch.Tensor"),
    ("no/such/folder", "expected 'minilm', an existing folder or file, or a hub id .* got 'no/such/folder'"),
    ("./nothing", "an existing folder or file"),
    ("../nothing", "an existing folder or file"),
    ("absent.safetensors", "an existing folder or file"),
    ("folder/absent.bin", "an existing folder or file"),
    (Path("org/name"), "an existing folder or file, or a hub id .* got 'org/name'"),
    ("", "an existing folder or file"),
    ("a\0b", "an existing folder or file"),
    ("x" * 5000 + "/" + "y" * 5000 + "/z", "an existing folder or file"),
]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("model", "message"), BAD_MODELS)
def test_bad_models(model, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=message):
        load_layer(model, "w")


def test_an_unknown_name_is_answered_with_the_nearest(tensors):
    tensors |= {f"h.{i}.up.weight": torch.ones(2, 2) for i in range(1, 9)}
    with pytest.raises(UnknownTensorError, match="one of the 11 tensors of the state dict") as caught:
        load_layer(tensors, "h.0.upp.weight")
    assert UP in caught.value.expected
    assert caught.value.expected.count("weight'") == 5
    assert caught.value.got == "'h.0.upp.weight'"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "name", ["H.0.UP.WEIGHT", "up.weight", "h.0.up", " h.0.up.weight", "", "*", 3, None, [UP]]
)
def test_a_name_has_to_be_exact(name, tensors):
    checkpoint = open_checkpoint(tensors)
    for ask in (checkpoint.matrix, checkpoint.shape, checkpoint.dtype):
        with pytest.raises(UnknownTensorError, match="tensor_name: expected the exact name"):
            ask(name)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("layout", ["Linear", "", None, 1])
def test_bad_layouts(layout, tensors):
    with pytest.raises(RangeError, match="layout: expected one of 'auto', 'linear', 'conv1d'"):
        load_layer(tensors, UP, layout=layout)


def test_every_refusal_is_a_value_error_of_this_package():
    assert issubclass(ModelError, ValueError)
    assert issubclass(UnknownTensorError, SphereTheoryError)
