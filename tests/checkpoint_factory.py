"""The same few tensors in every kind of storage that a model comes in."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import torch
from safetensors.torch import save_file

UP, DOWN = "h.0.up.weight", "h.0.down.weight"


def matrix(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def write_shards(folder: Path, shards: dict[str, dict[str, torch.Tensor]], kind: str = "safetensors") -> None:
    folder.mkdir(exist_ok=True)
    for file, content in shards.items():
        save_file(content, folder / file) if kind == "safetensors" else torch.save(content, folder / file)
    stem = "model.safetensors" if kind == "safetensors" else "pytorch_model.bin"
    index = {"weight_map": {name: file for file, content in shards.items() for name in content}}
    (folder / f"{stem}.index.json").write_text(json.dumps(index))


def raw_safetensors(path: Path, header: dict, data: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def as_folder(tensors, folder):
    save_file(tensors, folder / "model.safetensors")
    return folder


def as_shards(tensors, folder):
    files = {
        f"model-{i:05d}-of-00003.safetensors": {name: tensors[name]} for i, name in enumerate(tensors, 1)
    }
    write_shards(folder, files)
    return folder


def as_bin_shards(tensors, folder):
    files = {
        f"pytorch_model-{i:05d}-of-00003.bin": {name: tensors[name]} for i, name in enumerate(tensors, 1)
    }
    write_shards(folder, files, "bin")
    return folder


def as_only_file(tensors, folder):
    save_file(tensors, folder / "weights.safetensors")
    return folder


def as_file(tensors, folder):
    save_file(tensors, folder / "weights.safetensors")
    return folder / "weights.safetensors"


def as_bin_folder(tensors, folder):
    torch.save(tensors, folder / "pytorch_model.bin")
    return folder


def as_old_pickle(tensors, folder):
    torch.save(tensors, folder / "old.pth", _use_new_zipfile_serialization=False)
    return folder / "old.pth"


def as_wrapped_pickle(tensors, folder):
    torch.save({"state_dict": tensors, "epoch": 3, "optimizer": {"state": {}}}, folder / "wrapped.pt")
    return folder / "wrapped.pt"


def as_model_pickle(tensors, folder):
    torch.save({"model": tensors, "step": 1}, folder / "wrapped.pt")
    return folder / "wrapped.pt"


def as_parameters(tensors, _folder):
    return {name: torch.nn.Parameter(value) for name, value in tensors.items()}


def as_arrays(tensors, _folder):
    return {name: value.numpy() for name, value in tensors.items()}


STORES = [
    *(as_folder, as_shards, as_bin_shards, as_only_file, as_file, as_bin_folder),
    *(as_old_pickle, as_wrapped_pickle, as_model_pickle, as_parameters, as_arrays),
]
