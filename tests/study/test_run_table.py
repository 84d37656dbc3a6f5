"""The table of all runs: a row a measure point, with what the run was."""

from __future__ import annotations

import pytest
from run_factory import UNIFORM, D, made_row, made_run

from sphere_theory.editing.memit_sequential import MemitSequential
from sphere_theory.editing.problem import LayerMemory
from sphere_theory.errors import InputError
from sphere_theory.hosts.edits import make_stream
from sphere_theory.hosts.keys import SyntheticKeys
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.hosts.synthetic import SyntheticLayer, random_weight
from sphere_theory.streams.entries import RunInfo
from sphere_theory.streams.measures import Measures
from sphere_theory.streams.runner import run_stream
from sphere_theory.streams.store import RunStore
from sphere_theory.study.predictors import PREDICTORS
from sphere_theory.study.run_table import experiment_rows, facts, load_points


@pytest.fixture
def store(tmp_path):
    with RunStore(tmp_path) as opened:
        yield opened


def test_rows_are_those_with_all_columns_beside_what_the_run_was(store):
    name = made_run(store, "alphaedit", sphere=(0.5, 0.5), seed=7, every=4)
    points = load_points(store)
    assert points["edits"].tolist() == [200, 400, 600, 800, 1000]
    first = points.iloc[0]
    known = {"run": name, "base": "alphaedit", "editor": "alphaedit + SPHERE", "seed": 7, "planned": 1000}
    assert {key: first[key] for key in known} == known
    assert first["host"] == "recorded made keys, random order, 16×24"
    assert first["energy_level"] == pytest.approx(0.01 * 200 / UNIFORM)
    assert first["energy_step"] == pytest.approx(0.01 * 50 / UNIFORM)  # over one batch, not over four
    assert points["rank_left"].tolist() == [0.0] * 5
    assert points["rank_left"].max() == max(0, 1 - 200 / D)


@pytest.mark.parametrize(
    ("stream", "host"),
    [
        (
            {"source": "recorded", "prompts": "packaged", "weights": "MiniLM layer 2", "order": "random"},
            "MiniLM layer 2, recorded packaged keys, random order, 16×24",
        ),
        (
            {
                "source": "gaussian",
                "second_moment": "packaged",
                "weights": "MiniLM layer 3",
                "order": "random",
            },
            "MiniLM layer 3, gaussian keys with the second moment of packaged, random order, 16×24",
        ),
        (
            {
                "source": "gaussian",
                "spectrum": "power",
                "decay": 1.0,
                "weights": "synthetic",
                "order": "clustered",
            },
            "synthetic, gaussian keys, power spectrum (1), clustered order, 16×24",
        ),
        ({"source": "recorded", "order": "random"}, "recorded keys, random order, 16×24"),
    ],
)
def test_a_host_is_called_by_its_layer_and_its_keys(stream, host):
    stream = stream | {"seed": 0, "edits": 5}
    config = {"editor": {"name": "memit"}, "stream": stream, "shape": [16, 24], "batch": 5}
    config |= {"dtype": "float64", "measures": Measures().record()}
    found = facts(RunInfo("a", config, {}, "", "complete", 5))
    assert found["host"] == host
    assert found["conditions"] == "float64, among 1000 edited and 100 preserved values"


def test_settings_that_are_not_the_papers_are_in_the_label(store):
    made_run(store, "alphaedit", sphere=(0.5, 0.8))
    made_run(store, "memit", sphere=(0.5, 0.8))
    made_run(store, "memit-seq", sphere=(0.3, 0.8), options={"compensate": True})
    labels = load_points(store)["editor"].unique().tolist()
    assert sorted(labels) == [
        "alphaedit + SPHERE (η=0.5, α=0.8)",
        "memit + SPHERE",
        "memit-seq + SPHERE (η=0.3, α=0.8, compensate=True)",
    ]


def test_what_a_run_was_stands_in_columns_of_its_own(store):
    made_run(store, "alphaedit", sphere=(0.5, 0.5), settings={"l2": 3.0})
    made_run(store, "alphaedit", sphere=(0.5, 0.8), settings={"l2": 3.0})
    made_run(store, "memit", settings={"ridge": 7.0}, status="collapsed at edit 650: weights are not finite")
    made_run(store, "rome", status="unfinished")
    runs = load_points(store).drop_duplicates("run").set_index("editor")
    assert runs["as_paper"].to_dict() == {
        "rome": False,
        "memit": False,
        "alphaedit + SPHERE": True,
        "alphaedit + SPHERE (η=0.5, α=0.8)": False,
    }
    assert runs["strength"].fillna(0).tolist() == [0.0, 7.0, 3.0, 3.0]
    assert runs["lost_at"].fillna(0).tolist() == [0.0, 650.0, 0.0, 0.0]
    assert runs["ended"].tolist() == [False, True, True, True]
    assert not runs["real"].any()


def test_of_runs_that_differ_in_their_code_the_last_counts(store):
    name = made_run(store, collapse=400.0)
    config = store.run(name).config
    later = store.begin(config | {"code": "later"}, {"source": "made"})
    row = made_row(50, collapse=900.0, size=0.1)
    store.record(later.id, 0, row, {})
    assert load_points(store)["run"].unique().tolist() == [later.id]


def test_controls_are_no_sphere(store):
    made_run(store, "memit", sphere=(0.5, 0.8), control="random", options={"seed": 5}, seed=2)
    made_run(store, "memit", sphere=(0.3, 0.8), control="shrink")
    made_run(store, "memit", sphere=(0.5, 0.8), seed=1)
    made_run(store, "memit")
    columns = ["editor", "base", "operator", "eta", "variant"]
    runs = load_points(store)[columns].drop_duplicates().fillna(0).to_numpy().tolist()
    assert runs == [
        ["memit", "memit", "", 0, ""],
        ["memit + SPHERE", "memit", "SPHERE", 0.5, ""],
        ["memit + same-norm shrinkage (η=0.3, α=0.8)", "memit", "same-norm shrinkage", 0.3, ""],
        ["memit + random subspace", "memit", "random subspace", 0.5, ""],
    ]


def test_the_order_of_runs_does_not_depend_on_when_they_were_made(store):
    made_run(store, "alphaedit", seed=1)
    made_run(store, "memit", sphere=(0.5, 0.8))
    made_run(store, "alphaedit", seed=0)
    made_run(store, "memit", seed=3)
    runs = load_points(store)[["editor", "seed"]].drop_duplicates().to_numpy().tolist()
    assert runs == [["memit", 3], ["memit + SPHERE", 0], ["alphaedit", 0], ["alphaedit", 1]]


def test_a_store_without_such_points_is_refused(store):
    with pytest.raises(InputError, match="store: expected runs with all measures, got none in"):
        load_points(store)
    made_run(store, every=1000)
    with pytest.raises(InputError, match="got none in"):
        load_points(store)


def test_a_real_run_has_every_column(store):
    W = random_weight(16, 24, seed=0).double()
    keys = SyntheticKeys().draw(50, 24).to(W)
    stream = make_stream(W, keys[:20], keys[20:], edits=20, record={"source": "small"})
    memory = LayerMemory(W, SyntheticKeys().second_moment(24))
    run_stream(memory, MemitSequential(ridge=5.0), stream, Measures(every=1), store, batch=10)
    points = load_points(store)
    assert points[list(PREDICTORS)].notna().all(axis=None)
    assert points["rank_left"].tolist() == pytest.approx([1 - 10 / 24, 1 - 20 / 24])
    before = points["energy"].iloc[0] - points["energy_change"].iloc[0]
    uniform = points["energy"].iloc[0] / points["energy_uniform"].iloc[0]
    level = abs(points["energy"] - before) / uniform
    assert points["energy_level"].tolist() == pytest.approx(level.tolist())


def test_a_rows_own_columns_win_and_fields_are_tuples_again(tmp_path):
    with RunStore(tmp_path) as store:
        store.keep_experiment("a", {"size": 1.0, "shape": (2, 3)}, [{"size": 0.5}, {"more": 1}])
        frame = experiment_rows(store, "a")
        assert experiment_rows(store, "none").empty
    assert frame["size"].tolist() == [0.5, 1.0]
    assert set(frame["shape"]) == {(2, 3)}
    assert frame["experiment"].nunique() == 1


def test_experiments_stand_by_what_they_were_not_by_their_names(tmp_path):
    tasks = [
        {"model": model, "editor": editor, "seed": seed}
        for model in ("minilm", "synthetic")
        for editor in ("alphaedit", "memit-seq")
        for seed in (0, 1, 2)
    ]
    with RunStore(tmp_path) as store:
        for place, task in enumerate(tasks):
            store.keep_experiment("a", task, [{"place": place}])
        assert experiment_rows(store, "a")["place"].tolist() == list(range(len(tasks)))


def test_rows_of_a_layer_say_whether_it_is_real_and_of_which_model(store):
    for host, seed in ((MiniLM(2), 0), (SyntheticLayer(spectrum="flat"), 1)):
        config = {"seed": seed, "host": host.label} | host.record()
        store.keep_experiment("a", config, [{"value": seed}])
    rows = experiment_rows(store, "a")
    assert rows["real"].tolist() == [True, False]
    assert rows["family"].tolist() == ["MiniLM", "gaussian keys, flat spectrum"]
