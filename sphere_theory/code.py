"""What numbers depend on beside their input: the code that computes them, and nothing else of the package.

A stored result is named by its configuration, its data and this hash. A caption, a comment or a docstring
changes no number and no name; an editor's arithmetic does.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_PACKAGE = __name__.partition(".")[0]

# These keep, choose or tell, and compute nothing: what they import does not belong to a result, and what a
# registry chose is given by its type.
_NOTHING_COMPUTED = frozenset(
    f"{_PACKAGE}.{name}"
    for name in (
        "code",
        "editing.registry",
        "errors",
        "files",
        "hosts.registry",
        "journal",
        "streams.database",
        "streams.entries",
        "streams.naming",
        "streams.run_files",
        "streams.specs",
        "streams.store",
    )
)


def code_hash(*roots: str | type) -> str:
    """A short hash of the code of some modules and of all that they import from this package.

    Comments, docstrings and layout do not count; names of modules do.

    Parameters
    ----------
    *roots
        Names of modules, or classes, which stand for their own. A module outside this package counts for
        itself alone.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    names = {root if isinstance(root, str) else root.__module__ for root in roots}
    found: set[str] = set()
    while names:
        name = names.pop()
        if name not in found:
            found.add(name)
            names |= set(_imports(name)) - found
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(f"{name}:{_digest(name)}\n".encode())
    return digest.hexdigest()[:16]


def source_hash(*patterns: str) -> str:
    """A short hash of all files of this package whose names match, every byte of them.

    Parameters
    ----------
    *patterns
        Such as "*.v"; "*.py" when absent.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns or ("*.py",) for path in folder.rglob(pattern)}):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _digest(name: str) -> str:
    tree = _tree(name)
    # A module that no file holds, such as a notebook's: its name is all that is known of it.
    return hashlib.sha256(ast.dump(_without_docstrings(tree)).encode()).hexdigest() if tree else "no file"


@cache
def _imports(name: str) -> tuple[str, ...]:
    """Modules of this package that a module of this package computes with."""
    tree = _tree(name)
    if tree is None or name.partition(".")[0] != _PACKAGE:
        return ()
    return tuple(sorted(found for found in set(_imported(tree)) if _counts(found)))


def _counts(name: str) -> bool:
    return name.startswith(f"{_PACKAGE}.") and name not in _NOTHING_COMPUTED


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in _computing(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (
                submodule for alias in node.names if _is_module(submodule := f"{node.module}.{alias.name}")
            )


def _computing(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs: what is imported for annotations alone does not."""
    for child in ast.iter_child_nodes(tree):
        checking = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if not checking:
            yield child
            yield from _computing(child)


@cache
def _is_module(name: str) -> bool:
    return name.startswith(f"{_PACKAGE}.") and _path(name) is not None


@cache
def _path(name: str) -> Path | None:
    """The file of a module, which need not be imported."""
    if name.partition(".")[0] == _PACKAGE:
        stem = Path(__file__).parent.joinpath(*name.split(".")[1:])
        candidates = (stem.with_suffix(".py"), stem / "__init__.py")
        return next((path for path in candidates if path.is_file()), None)
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    return Path(file) if file else None


def _tree(name: str) -> ast.Module | None:
    path = _path(name)
    return None if path is None else ast.parse(path.read_text(encoding="utf-8"))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree
