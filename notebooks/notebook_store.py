"""What the notebooks share: the store that they read, its figures, and numbers with their intervals."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from IPython.display import Image, display
from PIL import Image as PILImage

from sphere_theory.errors import InputError
from sphere_theory.plotting import theme
from sphere_theory.streams.store import RunStore
from sphere_theory.study import drawing, statistics
from sphere_theory.study.run_table import experiment_rows, load_points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Set where the notebooks are only tried: fewer resamples for each interval.
QUICK = "SPHERE_THEORY_QUICK" in os.environ
SAMPLES = drawing.QUICK_SAMPLES if QUICK else statistics.SAMPLES

# Legible where a page shows it, small enough to be committed: figures have few colours.
DPI, COLOURS = 90, 256


def store() -> RunStore:
    """The store named by SPHERE_THEORY_STORE, or else out/study."""
    default = Path(__file__).parents[1] / "out" / "study"
    path = Path(os.environ.get("SPHERE_THEORY_STORE", default))
    if not (path / "runs.sqlite").exists():
        raise InputError("SPHERE_THEORY_STORE", "a store that `sphere-theory study` filled", str(path))
    return RunStore(path)


def show(*names: str) -> None:
    """Draw figures of these names, one a host; of one that the store cannot draw, say what it would need."""
    with store() as found, theme():
        for name in names:
            drawn = list(drawing.drawings(found, [name], quick=QUICK))
            for one in drawn:
                picture(one.figure, f"{name} {one.host}".strip())
            if not drawn:
                print(f"Not drawn: {name}. This store lacks {drawing.figures()[name].needs}.")


def picture(figure: Figure, alt: str) -> None:
    """Show a figure as one small PNG."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    colours = PILImage.open(drawn).convert("RGB").quantize(COLOURS, PILImage.Quantize.FASTOCTREE)
    colours.save(small, format="png", optimize=True)
    display(Image(small.getvalue(), alt=alt))


@cache
def points() -> pd.DataFrame:
    """All measure points of all runs of the store."""
    with store() as found:
        return load_points(found)


def chosen(choose: Callable[[pd.DataFrame, str], pd.DataFrame]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each host, and what a choice of the study takes of its runs."""
    found = [(host, choose(points(), host)) for host in points()["host"].unique()]
    found = [(host, own) for host, own in found if len(own)]
    if not found:
        print("This store has no such runs.")
    yield from found


def experiment(name: str) -> pd.DataFrame:
    """All rows of a kind of experiment; none, said in words, where the store has none."""
    with store() as found:
        frame = experiment_rows(found, name)
    if not len(frame):
        print(f"This store has no experiment {name}.")
    return frame


def spread(row: pd.Series, value: str, low: str = "low", high: str = "high", *, form: str = ".2f") -> str:
    """A number and its interval."""
    return f"{row[value]:{form}} [{row[low]:{form}}, {row[high]:{form}}]"


def count_signs(table: pd.DataFrame, low: str = "low", high: str = "high") -> str:
    """How many of a table's 95% intervals lie above 0, below it, or on both sides."""
    above, below = int((table[low] > 0).sum()), int((table[high] < 0).sum())
    return (
        f"{above} above 0, {below} below, {len(table) - above - below} undecided (of {len(table)} intervals)"
    )
