"""The study: all streams and experiments behind the figures and the findings, run into one store."""

from sphere_theory.study.plan import Plan, plan
from sphere_theory.study.run import Result, Stage, run_study

__all__ = ["Plan", "Result", "Stage", "plan", "run_study"]
