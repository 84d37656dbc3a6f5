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
# # 6 · Cause, or companion?
#
# **Question.** If keeping HE is what protects knowledge, then raising HE must hurt, lowering it must help,
# and changes that leave HE alone must do neither. All three can be done to an edited layer directly.
#
# **Method.** Changes D of an edited layer that raise HE, lower it, or leave it where it is, at the same ‖D‖
# and the same change of every key's output ("signs" is such a change with random signs); scalings and
# rotations that change every output and not HE; and, along a stream, a step after every batch that brings
# HE back. Differences are paired by layer, over several seeds.

# %%
from notebook_store import count_signs, experiment, show, spread

from sphere_theory.experiments import energy_stabilization, interventions
from sphere_theory.hosts.base import METRICS
from sphere_theory.study.effects import COVARIATES, associations, differences

show("dose-response", "contrasts")

# %% [markdown]
# In numbers: a metric under the first change less under the second. Were HE the cause, "HE lowered − signs"
# would lie above 0, "HE raised − signs" below.

# %%
changed = experiment("interventions")
if len(changed):
    found = differences(changed, interventions.CONTRASTS, ["size"])
    for (first, second), own in found.groupby(["first", "second"], sort=False):
        print(f"{first} − {second}: {count_signs(own)}")
        largest = own.loc[own["mean"].abs().idxmax()]
        where = f"{largest['value']}, {largest['host']}, {largest['editor']}"
        print(f"    largest: {spread(largest, 'mean', form='+.3f')} ({where})")

# %% [markdown]
# What goes with the change of a metric, over all kinds of change: the change of HE, its size, or that of
# the outputs?

# %%
show("covariates")

# %%
if len(changed):
    related = associations(changed, leave=[interventions.CHECK])
    related[["low", "high"]] = related[["low", "high"]].clip(-1, 1)
    for metric in METRICS:
        own = related[(related["value"] == metric) & related["mean"].notna()]
        print(f"{metric}: strongest Spearman's ρ" if len(own) else f"{metric} never changed")
        for _, case in own.groupby(["host", "editor"], sort=False):
            row = case.loc[case["mean"].abs().idxmax()]
            name = COVARIATES[row["covariate"]]
            print(f"    {row['host']}, {row['editor']}: {name}, {spread(row, 'mean', form='+.2f')}")

# %% [markdown]
# **Along a stream.** After every batch one copy of the layer has its HE put back ("HE held"); others get a
# step just as large that leaves HE alone, or goes the other way, or pulls the weights back, or cuts their
# largest singular values.

# %%
show("energy-stabilization", "energy-stabilization-contrasts")

# %%
kept = experiment("energy-stabilization")
if len(kept):
    last = kept[kept["edits"] == kept["planned"]]
    found = differences(last, energy_stabilization.CONTRASTS, ["planned"])
    for (first, second), own in found.groupby(["first", "second"], sort=False):
        print(f"{first} − {second}: {count_signs(own)}")

# %% [markdown]
# **What it shows.** Effects with intervals. Read "HE lowered" and "HE held" against the change of the same
# size that leaves HE alone: what both do, HE did not do. Of many intervals one in twenty misses 0 by
# chance.
#
# **What it does not show.** Changes are those of one layer; where no contrast is decided, the seeds were
# too few for an effect of that size, and none is shown to be absent.
