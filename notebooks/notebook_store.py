"""What the notebooks share: the store that `make study` filled, and its figures."""

from __future__ import annotations

import os
from pathlib import Path

from IPython.display import display

from sphere_theory.errors import InputError
from sphere_theory.figures.from_store import drawings
from sphere_theory.figures.style import theme
from sphere_theory.streams.store import RunStore

HERE = Path(__file__).parent


def store() -> RunStore:
    """The store named by SPHERE_THEORY_STORE, or else that of `make study`."""
    path = Path(os.environ.get("SPHERE_THEORY_STORE", HERE.parent / "out" / "study"))
    if not (path / "runs.sqlite").exists():
        raise InputError("SPHERE_THEORY_STORE", "a store: run `make study` first", str(path))
    return RunStore(path)


def show(*names: str) -> None:
    """Draw figures of these names, one a host."""
    with store() as found, theme():
        for drawing in drawings(found, names):
            drawing.figure.set_dpi(70)
            display(drawing.figure)
