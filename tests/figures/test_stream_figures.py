"""Figures of stored runs: axes, series, counts, and that the drawn values are the stored ones."""

from __future__ import annotations

import numpy as np
import pytest
from made import made_run, made_study

from sphere_theory.analysis import selection
from sphere_theory.analysis.ablation import CONTROLS, PLAIN, TURNED, settings_reached
from sphere_theory.analysis.correlation import KINDS, correlations
from sphere_theory.analysis.front import front_gaps, front_shares
from sphere_theory.analysis.gains import QUOTED, gains
from sphere_theory.analysis.resampling import mean_interval
from sphere_theory.analysis.runs import METRICS, PREDICTORS, PROJECTED, gather
from sphere_theory.analysis.warning import SIGNALS, alarms, approaches, verdicts
from sphere_theory.editing.control import KINDS as CONTROL_KINDS
from sphere_theory.errors import InputError
from sphere_theory.figures import from_store, plugin, predictors, streams
from sphere_theory.streams.store import RunStore


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    with RunStore(folder) as store:
        made_study(store)
        return folder, gather(store)


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("grid")) as store:
        for seed in range(3):
            made_run(store, seed=seed, collapse=900.0 + seed)
            for eta in (0.3, 0.5):
                for alpha in (0.3, 0.5, 0.8):
                    made_run(store, sphere=(eta, alpha), seed=seed, collapse=1000 * alpha, energy=eta)
            for kind in CONTROL_KINDS:
                made_run(store, sphere=(0.5, 0.8), control=kind, seed=seed, collapse=800.0)
            made_run(store, sphere=(0.5, 0.8), options={"compensate": True}, seed=seed, collapse=2000.0)
            for ridge in (1.0, 1e6):
                made_run(store, settings={"ridge": ridge}, seed=seed, collapse=700.0 + ridge)
        return gather(store)


def _lines(axes, name):
    return [line for line in axes.lines if line.get_label() == name]


def test_an_energy_close_to_uniform_is_written_out(study):
    _, points = study
    figure = streams.curves(points.assign(energy_uniform=1 + 1e-4 * points["seed"]))
    figure.canvas.draw()
    axes = figure.axes[3 * list(streams.ROWS).index("energy_uniform")]
    labels = [label.get_text() for label in axes.get_yticklabels() if label.get_text()]
    assert labels
    assert all(label.startswith(("0.999", "1.000")) for label in labels)
    assert not axes.yaxis.get_offset_text().get_text()


def test_curves_have_a_line_a_seed_and_their_mean(study):
    _, points = study
    figure = streams.curves(points)
    assert len(figure.axes) == len(streams.ROWS) * 3
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["memit", "memit-seq", "alphaedit"]
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == list(streams.ROWS.values())
    assert {axes.get_xlabel() for axes in figure.axes[-3:]} == {"edits"}
    for row, column in enumerate(streams.ROWS):
        axes, own = figure.axes[3 * row], points[points["editor"] == "memit + SPHERE"]
        thin, (mean,) = _lines(axes, "_memit + SPHERE"), _lines(axes, "memit + SPHERE")
        for line, (_, run) in zip(thin, own.groupby("run", sort=False), strict=True):
            np.testing.assert_array_equal(line.get_xydata(), run[["edits", column]])
        expected = own.groupby("edits")[column].mean()
        np.testing.assert_allclose(mean.get_ydata(), expected)
        band = axes.collections[1].get_paths()[0].vertices
        low, high = mean_interval(own[own["edits"] == 500][column].to_numpy())[1:]
        drawn = band[band[:, 0] == 500][:, 1]
        np.testing.assert_allclose([drawn.min(), drawn.max()], np.clip([low, high], *axes.get_ylim()))


def test_curves_say_how_many_runs_and_seeds(study):
    caption = streams.curves(study[1]).get_supxlabel().replace("\n", " ")
    assert (
        "recorded made keys, random order, 16×24. 18 runs on 3 seeds, batches of 50, 1,000 edits" in caption
    )


def test_the_forest_has_a_mark_for_each_predictor_and_kind(study):
    found = correlations(study[1], samples=20)
    figure = predictors.correlation_forest(found, "about")
    panel = figure.axes[METRICS.index("specificity")]
    assert panel.get_title(loc="left") == "specificity, before collapse"
    assert panel.get_xlabel() == ""
    assert figure.axes[-1].get_xlabel() == "Spearman's ρ"
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == list(PREDICTORS.values())
    own = found[(found["metric"] == "specificity") & (found["phase"] == "before collapse")]
    for kind in KINDS:
        (marks,) = [line for line in panel.lines if line.get_gid() == kind]
        np.testing.assert_array_equal(marks.get_xdata(), own[own["kind"] == kind]["value"])
        np.testing.assert_array_equal(np.round(marks.get_ydata()), range(len(PREDICTORS)))
    assert f"overall: {len(study[1])} points of 18 runs" in figure.get_supxlabel().replace("\n", " ")
    assert len(figure.legends[0].get_texts()) == len(KINDS)


def test_the_warning_figure_ranks_signals(study):
    rows = approaches(study[1])
    found = verdicts(rows, alarms(rows, by="base"), samples=20)
    figure = predictors.warning_forest(found, "about")
    area, shares, lead = figure.axes
    table = found.sort_values("area", ascending=False)
    assert [text.get_text() for text in area.get_yticklabels()] == [SIGNALS[s] for s in table["signal"]]
    np.testing.assert_array_equal(area.lines[0].get_xdata(), table["area"])
    np.testing.assert_array_equal(shares.lines[0].get_xdata(), table["warned"])
    np.testing.assert_array_equal(shares.lines[1].get_xdata(), table["early"])
    np.testing.assert_array_equal(lead.lines[0].get_xdata(), table["lead"])
    assert [text.get_text() for text in lead.texts] == [f"n = {n}" for n in table["warnings"]]


def test_gains_are_paired_by_seed_and_drawn_beside_the_papers(study):
    points = study[1]
    found = gains(points)
    assert (found["edits"] == 1000).all()
    (row,) = found[(found["base"] == "memit") & (found["metric"] == "efficacy")].to_dict("records")
    last = points[(points["base"] == "memit") & (points["edits"] == 1000)].pivot(
        index="seed", columns="editor", values="efficacy"
    )
    each = (last["memit + SPHERE"] - last["memit"]).to_numpy()
    assert (row["gain"], row["low"], row["high"]) == pytest.approx(mean_interval(each))
    assert (row["before"], row["seeds"]) == (pytest.approx(last["memit"].mean()), 3)
    figure = plugin.gain_rows([gains(points, at=500), found], "about")
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(METRICS)
    for axes, metric in zip(figure.axes, METRICS, strict=True):
        early, late = [line for line in axes.lines if line.get_gid() == "gain"]
        np.testing.assert_array_equal(late.get_xdata(), found[found["metric"] == metric]["gain"])
        assert len(early.get_xdata()) == 3
        quoted = [line.get_xdata()[0] for line in axes.lines if line.get_gid() == "paper"]
        values = [getattr(one, metric) for one in QUOTED]
        assert quoted == [value for value in values if value is not None]
    assert "the paper's gains, on other hosts" in figure.get_supxlabel().replace("\n", " ")


def test_gains_need_pairs(study, tmp_path):
    with pytest.raises(InputError, match="on the same seed at that edit count, got 999"):
        gains(study[1], at=999)
    with RunStore(tmp_path) as store:
        made_run(store)
        with pytest.raises(InputError, match="points: expected runs with and without SPHERE"):
            gains(gather(store))


def test_settings_are_told_apart_from_controls(grid):
    found = settings_reached(grid)
    kinds = found["kind"].value_counts().to_dict()
    assert kinds == {PROJECTED: 6, "compensate=True": 1, PLAIN: 1, TURNED: 2, **dict.fromkeys(CONTROLS, 1)}
    assert (found["seeds"] == 3).all()
    plain = found[found["kind"] == PLAIN].iloc[0]
    ends = grid[(grid["editor"] == "memit-seq") & (grid["settings"].str.contains("15000"))]
    assert plain["efficacy"] == pytest.approx(ends[ends["edits"] == 1000]["efficacy"].mean())
    assert plain["strength"] == 15000
    assert sorted(found[found["kind"] == TURNED]["strength"]) == [1, 1e6]


def test_heat_maps_have_the_mean_of_each_cell(grid):
    found = settings_reached(grid)
    figure = plugin.ablation_maps(found, "about")
    efficacy, specificity, energy = figure.axes
    projected = found[found["kind"] == PROJECTED]
    for axes, column in ((efficacy, "efficacy"), (specificity, "specificity"), (energy, "energy_level")):
        table = projected.pivot_table(index="eta", columns="alpha", values=column).to_numpy()
        np.testing.assert_array_equal(axes.images[0].get_array(), table)
        assert len(axes.texts) == 6
    assert [text.get_text() for text in efficacy.get_xticklabels()] == ["0.3", "0.5", "0.8"]
    assert [text.get_text() for text in efficacy.get_yticklabels()] == ["0.3", "0.5"]
    assert (efficacy.get_xlabel(), efficacy.get_ylabel()) == ("α", "η")


def test_the_front_joins_the_ridge_and_shows_every_setting(grid):
    found = settings_reached(grid)
    figure = plugin.front(found, "about")
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("specificity", "efficacy")
    controls = found[found["kind"].isin([PLAIN, TURNED])].sort_values("strength")
    (line,) = _lines(axes, "own ridge turned")
    np.testing.assert_array_equal(line.get_xydata(), controls[["specificity", "efficacy"]])
    for alpha in (0.3, 0.5, 0.8):
        (marks,) = _lines(axes, f"SPHERE, α = {alpha:g}")
        own = found[(found["kind"] == PROJECTED) & (found["alpha"] == alpha)]
        np.testing.assert_array_equal(marks.get_xydata(), own[["specificity", "efficacy"]])
    for kind in CONTROLS:
        (marks,) = _lines(axes, kind)
        np.testing.assert_array_equal(
            marks.get_xydata(), found[found["kind"] == kind][["specificity", "efficacy"]]
        )
        assert marks.get_markerfacecolor() == "none"
    named = {text.get_text() for text in axes.texts}
    assert named >= {PROJECTED, "SPHERE, compensate=True", PLAIN, TURNED, *CONTROLS}


def test_below_the_front_are_the_shares_that_no_ridge_reaches(grid):
    shares = front_shares(front_gaps(grid), samples=20)
    figure = plugin.front(settings_reached(grid), "about", shares)
    _, below = figure.axes
    kinds = [PROJECTED, "compensate=True", *CONTROLS]
    assert set(shares["kind"]) == set(kinds)
    for place, kind in enumerate(kinds):
        (mark,) = [line for line in below.lines if line.get_gid() == kind]
        own = shares[shares["kind"] == kind].iloc[0]
        np.testing.assert_array_equal(mark.get_xydata(), [[own["share"], place]])
        text = f"{own['beyond']} of {own['settings'] - own['off the curve']} [{own['sure']}]"
        assert any(label.get_text().startswith(text) for label in below.texts)
    labels = [text.get_text() for text in below.get_yticklabels()]
    assert labels == [PROJECTED, "SPHERE, compensate=True", *CONTROLS]


def test_controls_are_not_drawn_as_sphere(grid):
    assert set(selection.usual(grid)["editor"]) == {"memit-seq", "memit-seq + SPHERE"}
    host = grid["host"].iloc[0]
    choose = from_store.FIGURES["ablation"][0]
    assert set(choose(grid, host)["operator"]) == {"", PROJECTED, *CONTROLS}
    # Pairs of η and α of the controls are no grid of SPHERE's.
    as_controls = grid.assign(operator=grid["operator"].replace(PROJECTED, CONTROLS[0]))
    assert not len(choose(as_controls, host))


def test_under_stress_each_run_has_a_line_and_each_editor_a_bar(study):
    points = study[1]
    figure = streams.stress(points)
    axes = {one.get_label(): one for one in figure.axes}
    runs = [run for _, run in points.groupby(["base", "editor", "run"], sort=False)]
    for column in streams.STRESS:
        drawn = [line for line in axes[column].lines if not line.get_label().startswith("_")]
        for line, run in zip(drawn, runs, strict=True):
            np.testing.assert_array_equal(line.get_xydata(), run[["edits", column]])
            assert line.get_linestyle() == ("-" if run["eta"].isna().all() else "--")
    status = axes["status"]
    until = streams.lasting(points).groupby("editor", sort=False)[["apart", "sign"]].mean()
    widths = [bar.get_width() for bar in status.patches]
    np.testing.assert_allclose(widths, until.to_numpy().ravel())
    assert [text.get_text() for text in status.get_yticklabels()] == list(until.index)


def test_what_lasts_is_the_end_of_the_unbroken_beginning(tmp_path):
    with RunStore(tmp_path) as store:
        made_run(store, collapse=500.0)
        made_run(store, collapse=10.0, seed=1)
        found = streams.lasting(gather(store))
    # The gap is above 0 before edit 500, and above one half, for the sign, before edit 250.
    assert found[["apart", "sign"]].to_numpy().tolist() == [[450, 200], [0, 0]]


def test_a_store_is_drawn_host_by_host_with_its_runs_in_the_metadata(study, tmp_path):
    with RunStore(study[0]) as store:
        drawn = from_store.draw_store(store, tmp_path, quick=True)
        names = [info.id for info in store.runs()]
    runs = {"ablation", "front", "stress-steps", "turning"}
    assert set(drawn.missing) == runs | set(from_store.EXPERIMENTS)
    text = (tmp_path / "streams-recorded-made-keys-random-order-16x24.svg").read_text()
    assert all(name in text for name in names)
    assert "run with source=made" in text
    assert "drawn with source=" in text


def test_editors_with_too_few_seeds_are_left_out(tmp_path):
    with RunStore(tmp_path) as store:
        for seed in range(3):
            made_run(store, seed=seed)
        made_run(store, "memit")
        points = gather(store)
    chosen = from_store.FIGURES["streams"][0](points, points["host"].iloc[0])
    assert set(chosen["base"]) == {"memit-seq"}
    for name in ("warning", "gains", "ablation", "front"):
        assert not len(from_store.FIGURES[name][0](points, points["host"].iloc[0]))


def test_of_several_settings_the_commonest_are_drawn(tmp_path):
    with RunStore(tmp_path) as store:
        for seed in range(3):
            made_run(store, seed=seed)
            made_run(store, seed=seed, sphere=(0.5, 0.8))
            made_run(store, seed=seed, sphere=(0.1, 0.8))
            made_run(store, seed=seed, settings={"ridge": 1.0})
        chosen = selection.usual(gather(store))
    assert set(chosen["editor"]) == {"memit-seq", "memit-seq + SPHERE"}
    assert chosen["settings"].nunique() == 1
