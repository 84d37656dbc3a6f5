# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2 · Does the energy tell how long a model survives its edits?
#
# **Question.** The paper shows HE beside editing metrics along streams of edits and reports a strong
# Spearman correlation before collapse. Two things such a number cannot say by itself: whether anything that
# grows along a stream would do as well, and whether it warns of a collapse in a stream that it was not
# fitted on.
#
# **Method.** Streams of edits by several editors, alone and with SPHERE, on three seeds or more, all read
# from one store. A stream has collapsed when efficacy or specificity, once above 0.5, falls below it.

# %%
import pandas as pd
from notebook_store import SAMPLES, chosen, show, spread

from sphere_theory.study import collapse_forecast as forecast
from sphere_theory.study import early_warning as warning
from sphere_theory.study.choices import courses, several_editors
from sphere_theory.study.collapses import approaches, collapses
from sphere_theory.study.predictors import PREDICTORS
from sphere_theory.study.questions import capacity, prediction
from sphere_theory.study.rank_correlation import correlations

show("streams")

# %% [markdown]
# Where the streams of each editor collapse, and by what; median over seeds, `inf` where most held to their
# end, `NaN` where they never reached the level.

# %%
for host, points in chosen(courses):
    ends = collapses(points).groupby("editor", sort=False)
    print(f"\n{host}")
    table = {
        "collapse": ends["collapse"].median(),
        "planned": ends["planned"].max(),
        "by": ends["by"].agg(lambda by: ", ".join(sorted(set(by)))),
        "seeds": ends["seed"].nunique(),
    }
    print(pd.DataFrame(table).to_string(float_format="{:.0f}".format))

# %% [markdown]
# **|ΔHE| beside its rivals.** "Within" a run, everything that grows is near ±1. "Given edits" asks what a
# predictor knows beyond how long the stream has run.

# %%
show("correlation")

# %% [markdown]
# The same in numbers: Spearman's ρ with efficacy and specificity before collapse, given the edit count, and
# its 95% interval over runs.

# %%
for host, points in chosen(courses):
    found = correlations(points, samples=SAMPLES)
    asked = found[(found["phase"] == "before_collapse") & (found["kind"] == "given_edits")]
    asked = asked[asked["metric"] != "generalisation"]
    print(
        f"\n{host}, {asked['runs'].max()} runs" if len(asked) else f"\n{host}: too few runs before collapse"
    )
    if len(asked):
        asked = asked.assign(rho=[spread(row, "value", form="+.2f") for _, row in asked.iterrows()])
        table = asked.pivot(index="predictor", columns="metric", values="rho").loc[list(PREDICTORS)]
        print(table.rename(PREDICTORS).to_string())

# %% [markdown]
# **As a warning.** How well does each signal tell points near a collapse from points far from it (the area
# under its curve: 0.5 is chance), and how much better than |ΔHE| is it?

# %%
show("warning")

# %%
for host, points in chosen(several_editors):
    rows = approaches(points)
    found = warning.verdicts(rows, warning.alarms(rows, by="base"), samples=SAMPLES)
    own = found[found["signal"] == "energy_level"].iloc[0]
    rivals = found[~found["signal"].isin(["energy_level", "energy_step"])]
    better = rivals[rivals["beyond_low"] > 0]["signal"].map(prediction.LABELS)
    worse = rivals[rivals["beyond_high"] < 0]["signal"].map(prediction.LABELS)
    print(f"\n{host}, {own['runs']} runs: area of |ΔHE| {spread(own, 'area')}")
    print(f"    better than it, interval and all: {', '.join(better) or 'no rival'}")
    print(f"    worse than it, interval and all: {', '.join(worse) or 'no rival'}")
    print(f"    undecided: {len(rivals) - len(better) - len(worse)} of {len(rivals)} rivals")

# %% [markdown]
# **As a forecast.** From the first tenth of a stream, the edit count at which it collapses; scored on runs
# whose editor, or whose seed, the model has not seen. The factor is how many times too early or too late it
# is: 1 is exact. A ratio of factors below 1 says that |ΔHE| is the closer one.

# %%
show("forecast")

# %%
for host, points in chosen(capacity.forecastable):
    runs = forecast.usable(forecast.openings(points))
    print(f"\n{host}, {len(runs)} runs")
    for fold, words in capacity.LEFT_OUT.items():
        scored = forecast.scores(forecast.out_of_sample(runs, by=fold), samples=SAMPLES).set_index("model")
        own = scored.loc["energy"]
        for rival in ("count", "norm"):
            ratio = own[[f"against_{rival}_{part}" for part in ("factor", "low", "high")]]
            ratio.index = ["factor", "low", "high"]
            verdict = "closer" if ratio["high"] < 1 else "further off" if ratio["low"] > 1 else "undecided"
            print(f"    {words}, |ΔHE| over {capacity.LABELS[rival]}: {spread(ratio, 'factor')}, {verdict}")

# %% [markdown]
# **What it shows.** Where the interval of |ΔHE| lies beyond that of its rivals, the energy knows something
# that the size of the edit does not; where it lies below or overlaps, it goes with collapse as other things
# do, and is no better a predictor.
#
# **What it does not show.** Cause: see notebook 6. And hosts are single layers; a language model may forget
# in ways that retrieval on one layer does not see.
