"""Written up."""

from pathlib import Path

from sphere_theory.streams.store import RunStore


def write_findings(store: RunStore, out: Path) -> None:
    """Placeholder while the study is tried."""
    raise NotImplementedError
