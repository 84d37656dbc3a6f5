"""The stand-alone project under examples/ passes, in a process of its own as its users would run it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PASSED = 13  # six properties, six broken editors, one check that the certificate applies at all


def test_the_downstream_suite_passes() -> None:
    command = [sys.executable, "-m", "pytest", "examples/downstream_suite", "-q", "-p", "no:cacheprovider"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    report = run.stdout + run.stderr
    assert run.returncode == 0, report
    summary = report.strip().splitlines()[-1]
    assert re.match(rf"{PASSED} passed in ", summary), f"expected {PASSED} passed, got {summary!r}"


def test_an_editor_of_ones_own_runs_alone_and_under_sphere(tmp_path: Path) -> None:
    """Ten lines of code, in an empty folder, as a user would run it."""
    script = ROOT / "examples" / "own_editor.py"
    run = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("complete: ") == 2
    (editor,) = re.findall(r"^class Ridge.*?(?=^def )", script.read_text(encoding="utf-8"), re.M | re.S)
    lines = [line for line in editor.splitlines() if line.strip() and '"""' not in line]
    assert len(lines) <= 10, f"expected ten lines, got {len(lines)}"
