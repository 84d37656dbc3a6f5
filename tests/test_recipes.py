"""The recipes of docs/architecture.md: each touches the file that the page names, and no other, and works.

Each is followed in a copy of the package, by a process of its own. Those for an editor and for a host stand
in `test_examples` and in `hosts/test_own_host`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sphere_theory

PACKAGE = Path(sphere_theory.__file__).parent
TESTS = Path(__file__).parent

OWN_QUESTION = '''"""How far does the edit count go? A question from outside."""

from sphere_theory.plotting import canvas, caption
from sphere_theory.study.choices import COURSE, courses
from sphere_theory.study.question import Question, RunFigure


def _answer(material):
    for host, points in material.of_hosts(courses):
        yield f"{host}: {points['edits'].max():,.0f} edits"


def _draw(frames, about):
    figure, axes = canvas()
    axes.plot(frames["points"]["edits"])
    caption(figure, about)
    return figure


QUESTION = Question(
    order=50,
    question="How far does the edit count go?",
    asked="nobody",
    answer=_answer,
    untested="All else.",
    figures={"edit-count": RunFigure(COURSE, courses, lambda chosen: {"points": chosen.points}, _draw)},
)
'''

ASKED = """
import sys
from pathlib import Path
from run_factory import made_study
from sphere_theory.claims import ledger
from sphere_theory.streams.store import RunStore
from sphere_theory.study.drawing import drawings, figures
from sphere_theory.study.findings import findings
with RunStore(Path(sys.argv[1])) as store:
    made_study(store)
    print(findings(store))
    for name in set(figures()) & {"edit-count", "gains-again"}:
        print("drawn", name, len(list(drawings(store, [name], quick=True))))
print("claims", *(claim.id for claim in ledger()))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def told(copy: Path, tmp_path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ASKED, str(tmp_path / "runs")],
        cwd=copy,
        env={"PYTHONPATH": f"{copy}:{TESTS}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def change(copy: Path, module: str, old: str, new: str) -> None:
    path = copy / PACKAGE.name / module
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{module} holds {old!r} {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_predictor_a_question_a_figure_and_a_claim(copy: Path, tmp_path: Path) -> None:
    change(
        copy,
        "study/predictors.py",
        '    "principal_share": "principal share",\n',
        '    "principal_share": "principal share",\n    "rank_left": "rank that is left",\n',
    )
    (copy / PACKAGE.name / "study" / "questions" / "own.py").write_text(OWN_QUESTION, encoding="utf-8")
    change(
        copy,
        "study/questions/protection.py",
        "    figures={\n",
        '    figures={\n        "gains-again": RunFigure(PAIRS, paired, _gains_of, _draw_gains),\n',
    )
    change(
        copy,
        "claims/catalog/operator.py",
        '    return (\n        claim(\n            "O1",\n',
        '    return (\n        claim("X1", "1 = 1", "1 = 1", PAPER, Verdict.PROVED, plain="One is one."),\n'
        '        claim(\n            "O1",\n',
    )
    found = told(copy, tmp_path)
    assert "| rank that is left |" in found
    assert "## How far does the edit count go?\n\nAsked by: nobody.\n" in found
    assert "drawn edit-count 1" in found
    assert "drawn gains-again 1" in found
    assert "claims X1 O1 " in found
