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
