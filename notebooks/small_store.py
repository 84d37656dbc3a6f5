"""Fill a store in a minute or two for trying the notebooks: `make test-notebooks`.

The quick study's streams, all on one small synthetic layer, and its experiments on synthetic layers: every
figure of the notebooks can be drawn, and none of them says anything about a real model.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from sphere_theory.cluster import connected
from sphere_theory.editing.alphaedit import AlphaEdit
from sphere_theory.editing.editor import Editor
from sphere_theory.editing.sphere import Sphere
from sphere_theory.experiments.base import Experiment
from sphere_theory.experiments.edited import EditingExperiment
from sphere_theory.experiments.probe import SYNTHETIC, Probe
from sphere_theory.hosts.synthetic import SyntheticLayer
from sphere_theory.streams.specs import Task
from sphere_theory.streams.store import RunStore
from sphere_theory.study import Plan, Stage, StudyResult, plan, run_study

# AlphaEdit's null space is that of eigenvalues of C0 below it; there are none below the usual 0.02 here.
THRESHOLD = 1.0

LAYER = SyntheticLayer((64, 256))
EDITS = 1000


def small(task: Task) -> Task:
    """The same editor on the small layer."""
    stream = replace(task.stream, edits=min(EDITS, task.stream.edits), order="random")
    return replace(task, host=LAYER, stream=stream, editor=fitting(task.editor))


def fitting(editor: Editor) -> Editor:
    """The same with settings that the small layer allows."""
    if isinstance(editor, AlphaEdit):
        return replace(editor, threshold=THRESHOLD)
    return replace(editor, editor=fitting(editor.editor)) if isinstance(editor, Sphere) else editor


def shown(experiment: Experiment) -> bool:
    """Whether a notebook shows it, and it needs no real layer."""
    if isinstance(experiment, Probe):
        return experiment.layer == SYNTHETIC
    return isinstance(experiment, EditingExperiment) and experiment.host.title is None


def main(path: Path) -> None:
    """Fill it; what it has is not run again."""
    quick = plan(quick=True)
    tasks = tuple(dict.fromkeys(map(small, quick.tasks)))
    wanted = Plan(tasks, tuple(one for one in quick.experiments if shown(one)))
    with RunStore(path) as store:
        results = run_study(wanted, Stage(store, partial(connected, None), tell))
    if any(one.error for one in results):
        sys.exit(1)
    print(f"{len(results)} runs and experiments in {path}")


def tell(result: StudyResult) -> None:
    """Failures, as they come."""
    if result.error:
        print(f"failed: {result.what}: {result.error}", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
