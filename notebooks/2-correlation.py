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
# **Question.** The paper shows HE and editing metrics along streams of edits and reports a strong Spearman correlation
# before collapse. Two things such a number cannot say by itself: whether anything that grows along a stream would do as
# well, and whether it warns of a collapse in a stream that it was not fitted on.
#
# **Method.** Streams of 1,000 and more edits by several editors, alone and with SPHERE, on three seeds, all read from
# one store. A stream has collapsed when efficacy or specificity, once above 0.5, falls below it.

# %%
from notebook_store import show, store

from sphere_theory.analysis.runs import collapses, gather
from sphere_theory.analysis.selection import courses

show("streams")

# %% [markdown]
# Where each stream collapses, and by which metric:

# %%
with store() as found:
    points = gather(found)
for host in points["host"].unique():
    chosen = courses(points, host)
    if len(chosen):
        print(host)
        ends = collapses(chosen)
        print(
            ends
            .groupby("editor", sort=False)[["collapse"]]
            .median()
            .assign(by=ends.groupby("editor")["by"].first())
        )

# %% [markdown]
# |ΔHE| beside its rivals. "Within" runs everything that grows is near ±1; "given edits" asks what a predictor knows beyond
# how long the stream has run.

# %%
show("correlation")

# %% [markdown]
# And as a warning: how well does each predictor tell points near a collapse from points far from it, and how early?
# Thresholds are set on other editors.

# %%
show("warning", "forecast")

# %% [markdown]
# **What it shows.** Read the intervals: where that of |ΔHE| lies below that of ‖ΔW‖ or of the metrics themselves, the
# energy is a companion of collapse and no better predictor than the size of the edit. **What it does not show.** Hosts are
# single layers; a language model may forget in ways that retrieval on one layer does not see.
