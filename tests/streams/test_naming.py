"""The name of a run: everything that its numbers depend on, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from small_layer import EDITOR, MEASURES, small_host

from sphere_theory.code import code_hash
from sphere_theory.editing.memit import Memit
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.editing.rect import Rect
from sphere_theory.editing.sphere import Sphere
from sphere_theory.streams import runner
from sphere_theory.streams.entries import run_id
from sphere_theory.streams.naming import run_config


def test_everything_that_matters_is_in_the_name() -> None:
    memory, stream = small_host(12)
    same: dict[str, Any] = {"memory": memory, "editor": EDITOR, "stream": stream, "measures": MEASURES}
    wide_memory, wide_stream = small_host(12, dtype=torch.float32)
    changes: list[dict[str, Any]] = [
        {},
        {"batch": 5},
        {"keep_updates": True},
        {"editor": Memit(ridge=5.0)},
        {"editor": replace(EDITOR, ridge=6.0)},
        {"measures": replace(MEASURES, every=4)},
        {"memory": LayerMemory(memory.W * 1.5, memory.second_moment)},
        {"memory": LayerMemory(memory.W, memory.second_moment * 2)},
        {"stream": small_host(12, seed=1)[1]},
        {"memory": wide_memory, "stream": wide_stream},
        {"stream": replace(stream, keys=stream.keys * 2)},
    ]
    names = [run_id(run_config(**(same | change))) for change in changes]
    assert len(set(names)) == len(changes)
    assert run_id(run_config(memory, EDITOR, stream, MEASURES, batch=100, keep_updates=False)) == names[0]
    # As a checkpoint holds it, whatever the layout that it comes in.
    turned = LayerMemory(memory.W.T.contiguous().T, memory.second_moment)
    assert run_id(run_config(**(same | {"memory": turned}))) == names[0]


def test_the_code_of_a_run_is_that_of_the_module_that_computes_it() -> None:
    memory, stream = small_host(12)
    expected = code_hash(runner.__name__, *(base for base in type(EDITOR).__mro__[:-2]), type(stream))
    assert run_config(memory, EDITOR, stream, MEASURES)["code"] == expected


def test_the_code_of_a_run_is_that_of_all_its_editors() -> None:
    memory, stream = small_host(12)
    codes = [
        run_config(memory, editor, stream, MEASURES)["code"]
        for editor in (EDITOR, Sphere(EDITOR), Sphere(EDITOR, eta=0.3), Rect(EDITOR))
    ]
    assert len(set(codes)) == 3
    assert codes[1] == codes[2]
