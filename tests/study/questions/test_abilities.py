"""The question that no store of layers answers is asked, and stays open."""

from __future__ import annotations

from run_factory import made_run

from sphere_theory.streams.store import RunStore
from sphere_theory.study.question import Material
from sphere_theory.study.questions.abilities import QUESTION


def test_nothing_is_said_measured_or_drawn(tmp_path):
    with RunStore(tmp_path) as store:
        made_run(store)
        assert list(QUESTION.answer(Material(store))) == []
    assert not QUESTION.figures
    assert not QUESTION.experiments(False)
    assert QUESTION.untested
