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
# # 4 · SPHERE as a plug-in
#
# **Question.** The paper reports gains of 38.71% on average when SPHERE is put around existing editors.
# What does it add here, editor by editor, and what does it cost?
#
# **Method.** The same stream with and without SPHERE (η = 0.5; α = 0.5 on AlphaEdit and 0.8 elsewhere, as
# in the paper), paired by seed, 95% intervals over seeds (Student's t). Hollow diamonds are the paper's
# numbers, on other hosts, for comparison only.

# %%
from notebook_store import chosen, count_signs, show, spread, store

from sphere_theory.study.choices import paired
from sphere_theory.study.questions.projection_cost import projection_costs, timings
from sphere_theory.study.questions.protection import gains

show("gains")

# %%
for host, points in chosen(paired):
    found = gains(points)
    print(f"\n{host}, after {found['edits'].iloc[0]:,} edits, {found['seeds'].min()} seeds")
    for metric, own in found.groupby("metric", sort=False):
        print(f"    {metric}")
        for _, row in own.iterrows():
            change = spread(row, "gain", form="+.3f")
            print(f"        {row['base']:10} {row['before']:.3f} → {row['after']:.3f}, gain {change}")
    print(f"    gains: {count_signs(found)}")

# %% [markdown]
# **AlphaEdit on several seeds**, which the paper's reviewers asked for: what SPHERE adds along the stream.

# %%
show("seeds")

# %% [markdown]
# **Cost:** the projection beside the edit, from the seconds that every run records.

# %%
show("projection-cost")

# %%
for host, points in chosen(paired):
    with store() as found:
        costs = projection_costs(timings(found, set(points["run"])))
    print(f"\n{host}: time of the projection over that of the solve, 95% intervals over seeds")
    for _, row in costs[costs["ratio"] == "projection"].iterrows():
        print(f"    {row['base']:10} {spread(row, 'mean', form='.1%')}")

# %% [markdown]
# **What it shows.** Gains and losses of single layers with their intervals, in points of each metric and
# not in per cent of what was left: a gain of 100% on nearly nothing is nearly nothing.
#
# **What it does not show.** Fluency, portability and general abilities, which need the whole language
# model. Seconds are those of the machine that ran the streams.
