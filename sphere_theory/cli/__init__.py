"""The command line, ``sphere-theory COMMAND``.

Results go to stdout, progress and errors to stderr. Exit codes: 0 as expected, 1 a surprise or a failed
run, 2 wrong use, 130 interrupted. Heavy imports wait until a command needs them.
"""

from sphere_theory.cli.main import main

__all__ = ["main"]
