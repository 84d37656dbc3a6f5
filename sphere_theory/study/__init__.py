"""The study: all streams and experiments behind the figures and the findings, run into one store."""

from sphere_theory.study.plan import Plan, plan
from sphere_theory.study.run import Stage, StudyResult, run_study

__all__ = ["Plan", "Stage", "StudyResult", "plan", "run_study"]
