"""Execute the notebooks and write each .ipynb beside its .py: `make notebooks`.

What changes from one execution to the next and says nothing (ids, times, versions) is left out, so that the
same store gives the same file.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import jupytext
import nbformat
from nbclient import NotebookClient

if TYPE_CHECKING:
    from nbformat import NotebookNode

HERE = Path(__file__).parent
# Colours of a terminal.
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def paired(source: Path) -> NotebookNode:
    """The notebook of a percent script, not executed, with ids that do not depend on chance."""
    book = jupytext.read(source)
    book.metadata = nbformat.from_dict({
        "jupytext": {"formats": "ipynb,py:percent"},
        "kernelspec": KERNEL,
        "language_info": {"name": "python"},
    })
    for place, cell in enumerate(book.cells):
        cell.id, cell.metadata = f"cell-{place}", nbformat.from_dict({})
    book.nbformat, book.nbformat_minor = 4, 5
    return book


def executed(source: Path) -> NotebookNode:
    """The same with outputs; an error in a cell is raised here."""
    book = paired(source)
    quiet = ["--log-level=ERROR"]
    client = NotebookClient(book, timeout=600, record_timing=False, extra_arguments=quiet)
    client.execute(cwd=str(HERE))
    book.metadata.language_info = nbformat.from_dict({"name": "python"})
    printed = [output for cell in book.cells for output in cell.get("outputs", []) if "text" in output]
    for output in printed:
        output.text = ESCAPES.sub("", output.text)
        if output.name == "stderr":
            sys.exit(f"{source.name} wrote to stderr:\n{output.text}")
    return book


def main() -> None:
    """Execute those that are named, or all."""
    named = [HERE / Path(name).with_suffix(".py").name for name in sys.argv[1:]]
    for source in named or sorted(HERE.glob("[0-9]-*.py")):
        book = executed(source)
        nbformat.validate(book)
        target = source.with_suffix(".ipynb")
        nbformat.write(book, target)
        print(f"wrote {target.relative_to(HERE.parent)}, {target.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
