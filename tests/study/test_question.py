"""Questions: each is one module with a place of its own, and gets from a store what it asks for."""

from __future__ import annotations

import pkgutil
from dataclasses import fields

import pytest
from point_factory import HOST, runs, together
from run_factory import made_run, made_study

from sphere_theory.experiments.base import Experiment
from sphere_theory.experiments.probe import Probe
from sphere_theory.streams.store import RunStore
from sphere_theory.study import questions as package
from sphere_theory.study.choices import courses
from sphere_theory.study.question import Chosen, ExperimentFigure, Material, Question, questions
from sphere_theory.study.run_table import sample_sizes


def test_every_module_is_a_question_with_a_place_of_its_own():
    found = questions()
    assert len(found) == len(list(pkgutil.iter_modules(package.__path__)))
    orders = [one.order for one in found]
    assert orders == sorted(set(orders))
    assert len({one.question for one in found}) == len(found)
    for one in found:
        assert one.question.endswith("?")
        assert one.asked
        assert one.untested.endswith(".")


def test_no_two_questions_call_a_figure_by_one_name():
    names = [name for one in questions() for name in one.figures]
    assert len(set(names)) == len(names) > 20


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("one", questions(), ids=lambda one: f"question {one.order}")
def test_what_a_question_measures_is_plain_and_different(one, quick):
    made = one.experiments(quick)
    assert len(set(made)) == len(made) <= len(one.experiments(False))
    for task in made:
        given = {entry.name: getattr(task, entry.name) for entry in fields(task)}
        assert type(task)(**given) == task
        for value in task.config().values():
            plain = value if isinstance(value, tuple) else (value,)
            assert all(isinstance(item, str | int | float | tuple | None) for item in plain)


@pytest.mark.parametrize("quick", [True, False])
def test_what_is_measured_for_a_question_is_an_experiment(quick):
    made = [one for question in questions() for one in question.experiments(quick)]
    assert made
    assert all(isinstance(one, Experiment) for one in made)


def test_a_question_may_have_neither_figures_nor_experiments():
    one = Question(1, "Why?", "nobody", lambda material: iter(()), "All of it.")
    assert (one.figures, one.experiments(False)) == ({}, ())


def test_material_is_read_once(tmp_path):
    with RunStore(tmp_path) as store:
        made_study(store)
        material = Material(store)
        assert material.points is material.points
        (host,) = material.hosts()
        ((found, points),) = material.of_hosts(courses)
        assert found == host
        assert len(points) == len(courses(material.points, host))
        assert not list(material.of_hosts(lambda points, host: points.iloc[:0]))


def test_real_layers_come_first():
    """Whatever order they were run in."""

    class Made(Material):
        points = together(
            runs(host="b, drawn"), runs(host="z, real", real=True), runs(), runs(host="m, real", real=True)
        )

    assert Made(None).hosts() == ["m, real", "z, real", HOST, "b, drawn"]


def test_rows_of_an_experiment_have_its_fields(tmp_path):
    task = Probe(shape=(4, 3), seed=5)
    with RunStore(tmp_path) as store:
        store.keep_experiment(task.name, task.config(), [{"tightness": 0.5}])
        rows = Material(store).rows(task.name)
        assert len(Material(store).rows("nothing")) == 0
    assert rows[["tightness", "seed"]].to_dict("records") == [{"tightness": 0.5, "seed": 5}]


def test_what_was_chosen_says_what_it_is_about(tmp_path):
    with RunStore(tmp_path) as store:
        made_run(store)
        points = Material(store).points
        assert Chosen(store, points).about == sample_sizes(points)


def test_a_figure_of_an_experiment_shows_all_rows_in_one_unless_told_otherwise(tmp_path):
    figure = ExperimentFigure("keys", lambda frames, about: None)
    rows = runs().assign(experiment="x")
    assert figure.which(rows) is figure.data(figure.which(rows))["rows"] is rows
    assert figure.by(rows).unique().tolist() == [""]
    assert figure.needs == "the experiment keys of `sphere-theory study`"
