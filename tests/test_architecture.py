"""The house as docs/architecture.md draws it: data flows one way, questions do not know of each other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import sphere_theory

ROOT = Path(__file__).parents[1]
PACKAGE = Path(sphere_theory.__file__).parent

# A room imports from those before it, and from itself. The mathematics are one room.
ROOMS = (
    "ground",
    "mathematics",
    "plotting",
    "models",
    "editing",
    "hosts",
    "streams",
    "experiments",
    "study",
    "proofs",
    "claims",
    "cli",
)
GROUND = ("arrays", "code", "errors", "files", "journal")
PLACES = {
    **dict.fromkeys(GROUND, "ground"),
    "plotting": "plotting",
    "cluster": "streams",
    "strategies": "editing",
    "verify": "claims",
}


def room_of(module: str) -> str:
    first = module.split(".")[1]
    return first if first in ROOMS else PLACES.get(first, "mathematics")


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name != PACKAGE.name:
            yield name, path


def running(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from running(child)


@cache
def arrows() -> tuple[tuple[str, str], ...]:
    """Every import of one module of the package by another, those inside of functions too."""
    known = {name for name, _ in modules()}
    found = set()
    for name, path in modules():
        for node in running(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE.name):
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    found.add((name, inner if inner in known else node.module))
    return tuple(sorted((a, b) for a, b in found if b in known))


def test_no_arrow_goes_up() -> None:
    up = [f"{a} → {b}" for a, b in arrows() if ROOMS.index(room_of(a)) < ROOMS.index(room_of(b))]
    assert not up, "\n".join(up)


def test_no_question_knows_of_another() -> None:
    inside = "sphere_theory.study.questions."
    crossing = [f"{a} → {b}" for a, b in arrows() if a.startswith(inside) and b.startswith(inside)]
    assert not crossing, "\n".join(crossing)


def test_no_module_is_part_of_a_circle() -> None:
    after: dict[str, set[str]] = {}
    for a, b in arrows():
        after.setdefault(a, set()).add(b)
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle: {' → '.join((*path[path.index(name) :], name))}"
        if name not in done:
            for other in sorted(after.get(name, ())):
                walk(other, (*path, name))
            done.add(name)

    for name in sorted(after):
        walk(name, ())


def code_lines(node: ast.FunctionDef) -> int:
    """Lines of a function but its docstring."""
    first = node.body[0]
    documented = ast.get_docstring(node, clean=False) is not None
    return node.end_lineno - node.lineno + 1 - (first.end_lineno - first.lineno + 1 if documented else 0)


# Longer, and why.
LONG_FUNCTIONS = {
    "sphere_theory.cli.streams.edit": "a command's options are its parameters",
    "sphere_theory.claims.catalog.bound._constants": "one table of claims",
    "sphere_theory.claims.catalog.operator._algebra": "one table of claims",
    "sphere_theory.claims.catalog.operator._effects": "one table of claims",
}
# A proof is read from its first step to its last.
READ_WHOLE = "sphere_theory.proofs."


@pytest.mark.parametrize("name", [name for name, _ in modules()])
def test_modules_and_functions_can_be_read_whole(name: str) -> None:
    text = dict(modules())[name].read_text(encoding="utf-8")
    assert text.count("\n") <= 400, f"{name} has {text.count(chr(10))} lines"
    for node in ast.walk(ast.parse(text)):
        short = isinstance(node, ast.FunctionDef) and not name.startswith(READ_WHOLE)
        if short and f"{name}.{node.name}" not in LONG_FUNCTIONS:
            assert code_lines(node) <= 40, f"{name}.{node.name} has {code_lines(node)} lines"


def test_the_page_names_every_room_and_each_way_that_it_names_is_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for room in ROOMS[3:]:
        assert f"`{room}/`" in page, f"expected {room}/ on the page"
    for path in re.findall(r"`((?:sphere_theory|proofs|tests|docs)/[\w/.]+)`", page):
        assert (ROOT / path).exists(), f"the page names {path}, which is not there"


def test_every_module_has_tests_of_its_name() -> None:
    """tests/ mirrors the package: a/b.py is tested in tests/a/test_b.py, a package of tables in one file."""
    there = {path.relative_to(ROOT / "tests").as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    missing = []
    for name, path in modules():
        *folders, leaf = name.split(".")[1:]
        wanted = {"/".join((*folders, f"test_{leaf}.py"))}
        if folders:
            wanted |= {"/".join((*inside, f"test_{folders[-1]}.py")) for inside in (folders, folders[:-1])}
        if path.name not in ("__init__.py", "__main__.py") and not wanted & there:
            missing.append(name)
    assert not missing, f"{len(missing)} modules without tests of their name: {', '.join(missing)}"
