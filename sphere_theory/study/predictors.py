"""What may predict how long editing lasts: the energy's own columns, and their rivals.

A predictor is a line of `PREDICTORS`: every question that compares predictors compares it with the others.
"""

from __future__ import annotations

from collections.abc import Mapping

# Column of the run table: how figures and tables call it. The energy's own first, then its rivals.
PREDICTORS: Mapping[str, str] = {
    "energy_level": "|ΔHE|, level",
    "energy_step": "|ΔHE|, newest batch",
    "edit_norm": "‖ΔW‖/‖W‖",
    "row_norm_growth": "row-norm growth",
    "condition": "condition number",
    "singular_drift": "singular drift",
    "R_mean": "R, mean",
    "R_max": "R, largest",
    "principal_share": "principal share",
}
