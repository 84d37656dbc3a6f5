"""Every figure that a store has the runs and experiments for, with its data, and what the others need."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sphere_theory
from sphere_theory.code import source_hash
from sphere_theory.errors import InputError
from sphere_theory.plotting import save, theme
from sphere_theory.study.question import Chosen, ExperimentFigure, Frames, Material, RunFigure, questions
from sphere_theory.study.statistics import SAMPLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from sphere_theory.streams.store import RunStore

QUICK_SAMPLES = 200


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure and what it was drawn from.

    Attributes
    ----------
    name, host
        Which figure, of which host; the host is empty where the figure is of several.
    figure
        Not written yet.
    data
        What it shows, by name.
    provenance
        Names of runs or experiments, and the sources and versions that ran and drew them.
    """

    name: str
    host: str
    figure: Figure
    data: Frames
    provenance: Mapping[str, str]

    @property
    def slug(self) -> str:
        """A file's name."""
        words = f"{self.name} {self.host}".lower().replace("×", "x")
        return re.sub(r"[^a-z0-9]+", "-", words).strip("-")


@dataclass(frozen=True)
class Drawn:
    """What came of drawing a store.

    Attributes
    ----------
    written
        Files.
    missing
        What each figure that could not be drawn would need, by its name.
    """

    written: tuple[Path, ...]
    missing: Mapping[str, str]


def figures() -> dict[str, RunFigure | ExperimentFigure]:
    """The figures of all questions.

    Returns
    -------
    dict
        By name, in the order of the questions.
    """
    return {name: figure for question in questions() for name, figure in question.figures.items()}


def draw_store(store: RunStore, folder: Path, *, quick: bool = False) -> Drawn:
    """Draw what a store has the runs and experiments for, and write what is shown beside it as CSV.

    Parameters
    ----------
    store
        Nothing is run, and nothing in it is changed.
    folder
        Where to write; made if missing.
    quick
        200 resamples for each interval instead of 1,000.

    Returns
    -------
    Drawn
        Files named after figure and host, and what is missing.

    Raises
    ------
    InputError
        The store has no run with all measures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    missing = {name: figure.needs for name, figure in figures().items()}
    with theme():
        for drawing in drawings(store, quick=quick):
            missing.pop(drawing.name, None)
            written += save(drawing.figure, folder / drawing.slug, drawing.provenance, drawing.data)
    return Drawn(tuple(written), missing)


def drawings(store: RunStore, names: Sequence[str] = (), *, quick: bool = False) -> Iterator[Drawing]:
    """Draw figures of a store without writing them.

    Parameters
    ----------
    store
        Of runs and experiments.
    names
        Of figures; empty: all.
    quick
        200 resamples for each interval instead of 1,000.

    Yields
    ------
    Drawing
        One a figure and host; none where the store does not have what it needs.

    Raises
    ------
    InputError
        An unknown name, or a store without a run with all measures.
    """
    known = figures()
    for name in names:
        if name not in known:
            raise InputError("names", f"some of {', '.join(known)}", repr(name))
    material = Material(store, QUICK_SAMPLES if quick else SAMPLES)
    for name in names or known:
        figure = known[name]
        if isinstance(figure, RunFigure):
            yield from _of_runs(material, name, figure)
        else:
            yield from _of_experiments(material, name, figure)


def _of_runs(material: Material, name: str, figure: RunFigure) -> Iterator[Drawing]:
    for host, own in material.of_hosts(figure.choose):
        chosen = Chosen(material.store, own, material.samples)
        data = figure.data(chosen)
        yield Drawing(name, host, figure.draw(data, chosen.about), data, provenance(material.store, own))


def _of_experiments(material: Material, name: str, figure: ExperimentFigure) -> Iterator[Drawing]:
    rows = material.rows(figure.experiment)
    if not len(rows):
        return
    rows = figure.which(rows)
    for host, own in rows.groupby(figure.by(rows), sort=False):
        data = figure.data(own)
        found = {"experiments": f"{own['experiment'].nunique()} of {figure.experiment}"} | _here()
        yield Drawing(name, str(host), figure.draw(data, _about(own)), data, found)


def _about(rows: pd.DataFrame) -> str:
    """Hosts and seeds of experiments, for captions."""
    hosts = "; ".join(rows["host"].unique()) if "host" in rows else ""
    seeds = rows["seed"].nunique() if "seed" in rows else 1
    return f"{hosts}. {seeds} seeds each"


def _here() -> dict[str, str]:
    """What draws."""
    return {
        "drawn with package": sphere_theory.__version__,
        "drawn with source": source_hash(),
    }


def provenance(store: RunStore, points: pd.DataFrame) -> dict[str, str]:
    """What a figure was drawn from, for its metadata.

    Parameters
    ----------
    store
        The runs.
    points
        Those that were drawn.

    Returns
    -------
    dict of str to str
        Run names, the source and versions that they were run with, and those that drew.
    """
    names = list(dict.fromkeys(points["run"]))
    ran = [info.environment for info in store.runs() if info.id in set(names)]
    by = {key: ",".join(sorted({str(one.get(key)) for one in ran})) for key in ("package", "source", "torch")}
    return {"runs": ",".join(names), **{f"run with {key}": value for key, value in by.items()}, **_here()}
