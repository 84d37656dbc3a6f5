"""What a store says of a run: its name, how it ended, and what it was computed with."""

from __future__ import annotations

import torch

from sphere_theory.streams.entries import (
    COMPLETE,
    UNFINISHED,
    RunInfo,
    collapsed,
    environment,
    experiment_id,
    run_id,
)

SIZES = {"sizes": [1.0, 2.0], "seed": 0}


def test_names_are_of_the_configuration_alone() -> None:
    assert run_id({"a": 1, "b": [1, 2]}) == run_id({"b": [1, 2], "a": 1})
    assert run_id({"a": 1}) != run_id({"a": 2})
    assert len(run_id({})) == 12


def test_an_experiments_name_depends_on_kind_and_fields_alone() -> None:
    same = experiment_id("made", {"seed": 0, "sizes": [1.0, 2.0]})
    assert experiment_id("made", SIZES) == same
    assert experiment_id("made", SIZES | {"sizes": (1.0, 2.0)}) == same
    others = {experiment_id("another", SIZES), experiment_id("made", SIZES | {"seed": 1}), run_id(SIZES)}
    assert len(others | {same}) == 4


def test_a_status_tells_whether_a_run_ended_and_where_weights_were_lost() -> None:
    statuses = (UNFINISHED, COMPLETE, collapsed(1200, "weight: expected finite numbers: got 3 NaN"))
    infos = [RunInfo("a", {}, {}, "", status, 1200) for status in statuses]
    assert [info.ended for info in infos] == [False, True, True]
    assert [info.lost_at for info in infos] == [None, None, 1200]


def test_the_environment_is_of_this_process() -> None:
    found = environment()
    assert (found["torch"], found["threads"]) == (torch.__version__, torch.get_num_threads())
    assert len(found["source"]) == 16
    assert environment() == found
