"""Does keeping uniformity keep coding and mathematical reasoning? No store of single layers can tell."""

from __future__ import annotations

from sphere_theory.study.question import Lines, Material, Question


def _answer(material: Material) -> Lines:
    """Nothing."""
    return iter(())


QUESTION = Question(
    order=6,
    question="Does keeping uniformity keep coding and mathematical reasoning?",
    asked="the paper, open question 3",
    answer=_answer,
    untested="All of it: it needs language models and their benchmarks.",
)
