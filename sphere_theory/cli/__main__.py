"""``python -m sphere_theory.cli``, the same as ``sphere-theory``."""

from sphere_theory.cli import main

main()
