"""The turn of the principal space, and what a refreshed one changes, paired by seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from run_factory import made_run

from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.sphere import Sphere
from sphere_theory.errors import InputError
from sphere_theory.hosts.base import METRICS, StreamSpec
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.runner import run_stream
from sphere_theory.streams.store import RunStore
from sphere_theory.study.question import Material
from sphere_theory.study.questions.principal_space import QUESTION, TURNING, refreshed, refreshing
from sphere_theory.study.run_table import load_points
from sphere_theory.study.statistics import mean_interval, means_along

CURRENT = {"basis": "current"}


def _keep(store: RunStore, base: str, sphere: tuple[float, float], **settings) -> set[str]:
    """An editor alone and with U of the pretrained and of the current weights, on three seeds; their runs."""
    kept = set()
    for seed in range(3):
        for options in (None, {}, CURRENT):
            collapse = 400.0 + 10 * seed**2 + 50 * len(options or {})
            around = {} if options is None else {"sphere": sphere, "options": options}
            kept.add(made_run(store, base, seed=seed, collapse=collapse, **around, **settings))
    return kept


@pytest.fixture(scope="module")
def store(shared_folder):
    with RunStore(shared_folder) as opened:
        _keep(opened, "memit-seq", (0.5, 0.8))
        _keep(opened, "alphaedit", (0.5, 0.5))
        yield opened


@pytest.fixture(scope="module")
def points(store):
    found = load_points(store)
    turn = np.exp(-found["edits"] / 1000) + found["seed"] / 100
    return found.assign(principal_overlap=turn, principal_angle=1 - turn / 2, principal_rank=9.0)


def _line(axes, name):
    (line,) = [line for line in axes.lines if line.get_label() == name]
    return line


def test_refreshing_takes_both_spaces_of_the_same_settings_alone(tmp_path):
    with RunStore(tmp_path) as store:
        both = _keep(store, "memit-seq", (0.5, 0.8))
        for seed in range(3):
            made_run(store, seed=seed, settings={"ridge": 1.0})
            made_run(store, seed=seed, sphere=(0.5, 0.8), settings={"ridge": 1.0})
            made_run(store, seed=seed, sphere=(0.3, 0.8))
            made_run(store, "memit", seed=seed)
        points = load_points(store)
    (host,) = points["host"].unique()
    assert set(refreshing(points, host)["run"]) == both
    assert not len(refreshing(points[points["variant"] == ""], host))
    assert not len(refreshing(points, "another host"))
    mixed = pd.concat([points, points.assign(host="another host")])
    pd.testing.assert_frame_equal(refreshing(mixed, host), refreshing(points, host))


def test_refreshed_spaces_are_paired_by_seed(points):
    found = refreshed(points)
    own = points[(points["base"] == "alphaedit") & (points["edits"] == 600)]
    at = own.pivot(index="seed", columns="editor", values="efficacy")
    each = at["alphaedit + SPHERE (basis=current)"] - at["alphaedit + SPHERE"]
    (row,) = found[
        (found["base"] == "alphaedit") & (found["edits"] == 600) & (found["metric"] == "efficacy")
    ].to_dict("records")
    assert (row["gain"], row["low"], row["high"]) == pytest.approx(mean_interval(each.to_numpy()))
    assert row["current"] - row["pretrained"] == pytest.approx(row["gain"])
    assert (row["seeds"], row["eta"], row["alpha"]) == (3, 0.5, 0.5)


def test_a_control_is_no_sphere_with_the_pretrained_space(points):
    own = points[points["editor"] == "alphaedit + SPHERE"]
    control = own.assign(operator="random subspace", editor="alphaedit + random subspace", efficacy=0.0)
    found = refreshed(pd.concat([points, control.assign(run=control["run"] + " random")]))
    pd.testing.assert_frame_equal(found, refreshed(points))


def test_without_a_refreshed_space_there_is_nothing_to_compare(points):
    with pytest.raises(InputError, match="points: expected runs of SPHERE on the same seed with and without"):
        refreshed(points[points["variant"] == ""])


def test_a_run_that_was_run_has_the_turn(tmp_path):
    base = MemitSequential(ridge=5.0)
    with RunStore(tmp_path) as store:
        for seed in range(2):
            memory, edits = SyntheticLayer((16, 24)).make(StreamSpec(30, seed=seed), tmp_path)
            for editor in (base, Sphere(base), Sphere(base, basis="current")):
                run_stream(memory, editor, edits, Measures(every=1, audits=False), store, batch=10)
        points = load_points(store)
    found = means_along(points, TURNING)
    assert set(found["column"]) == set(TURNING)
    assert found["mean"].notna().all()
    assert len(refreshed(points)) == 3 * 3


def test_the_turn_and_what_a_refreshed_space_changes(points):
    found, compared = means_along(points, TURNING), refreshed(points)
    figure = QUESTION.figures["turning"].draw({"turn": found, "refreshed": compared}, "about")
    overlap, rank, angle, share, *metrics, _ = figure.axes
    for axes, column, scale in (
        (overlap, "principal_overlap", 1),
        (rank, "principal_rank", 1),
        (angle, "principal_angle", 180 / np.pi),
        (share, "principal_share", 1),
    ):
        own = points[points["editor"] == "alphaedit"].groupby("edits")[column].mean()
        np.testing.assert_allclose(_line(axes, "alphaedit").get_ydata(), own * scale)
    names = {"": "-", " + SPHERE": "--", " + SPHERE (basis=current)": ":"}
    assert {name: _line(rank, f"memit-seq{name}").get_linestyle() for name in names} == names
    assert {text.get_text() for text in share.texts} == set(points["editor"])
    assert [axes.get_title(loc="left") for axes in metrics] == list(METRICS)
    for axes, metric in zip(metrics, METRICS, strict=True):
        for base in ("memit-seq", "alphaedit"):
            own = compared[(compared["metric"] == metric) & (compared["base"] == base)]
            np.testing.assert_array_equal(_line(axes, base).get_ydata(), own["gain"])
    assert "paired on 3 seeds" in figure.get_supxlabel().replace("\n", " ")


def test_names_stand_at_the_heights_of_their_lines(points):
    figure = QUESTION.figures["turning"].draw(
        {"turn": means_along(points, TURNING), "refreshed": refreshed(points)}, "about"
    )
    *_, share = figure.axes[:4]
    assert share.get_ylim() == (-0.03, 1.03)
    place = share.transData + share.transAxes.inverted()
    lowest = min(place.transform((1.0, line.get_ydata()[-1]))[1] for line in share.lines)
    assert min(text.xy[1] for text in share.texts) == pytest.approx(lowest)


def test_the_answer_is_of_the_end(store):
    lines = list(QUESTION.answer(Material(store)))
    assert "(18 runs, 3 seeds, to 1,000 edits); at the end, of the pretrained space:" in lines[0]
    rows = [line.split(" | ") for line in lines[1].splitlines()[2:]]
    # Whatever was edited on the current space says nothing of the pretrained one.
    assert [row[0].strip("| ") for row in rows] == [
        "memit-seq",
        "memit-seq + SPHERE",
        "alphaedit",
        "alphaedit + SPHERE",
    ]
    left = 1 - 0.1 * (1 - np.exp(-0.1 * 1000 / 100))
    assert rows[0][1] == f"{left:.3f} [{left:.3f}, {left:.3f}]"
    assert [line.split(" | ")[0].strip("| ") for line in lines[3].splitlines()[2:]] == [
        "memit-seq",
        "alphaedit",
    ]
