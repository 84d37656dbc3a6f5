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
# # 3 · η and α, and what turning the ridge would have done
#
# **Question.** SPHERE has two numbers, the share η of the spectrum that spans U and the strength α in P = I
# − αUUᵀ. How much depends on them (the paper's second open question), and does SPHERE reach a balance of
# new and old facts that the base editor's own ridge λ does not?
#
# **Method.** Pairs of η and α on a grid, three seeds or more; three controls in place of P (the same norm
# in no particular direction, a random subspace of the same rank, the least principal directions); the base
# editor by itself at other λ; and SPHERE with error compensation.

# %%
from notebook_store import SAMPLES, chosen, show, spread

from sphere_theory.study.pareto_front import front_gaps, front_shares, settings_reached
from sphere_theory.study.questions.sensitivity import fronts, grids_of
from sphere_theory.study.run_table import PROJECTED

show("ablation")

# %% [markdown]
# How far apart the best and the worst pair of η and α are, in each metric at the end of the stream:

# %%
for host, points in chosen(grids_of):
    reached = settings_reached(points)
    for base, own in reached[(reached["operator"] == PROJECTED) & (reached["variant"] == "")].groupby(
        "base", sort=False
    ):
        print(f"\n{base} + SPHERE on {host}")
        print(f"    {len(own)} pairs, {own['edits'].max():,} edits, {own['seeds'].min()} seeds")
        for metric in ("efficacy", "generalisation", "specificity"):
            ends = []
            for _, row in own.loc[[own[metric].idxmin(), own[metric].idxmax()]].iterrows():
                value = spread(row, metric, f"{metric}_low", f"{metric}_high")
                ends.append(f"{value} at η={row['eta']:g}, α={row['alpha']:g}")
            print(f"    {metric}: from {ends[0]} to {ends[1]}")

# %% [markdown]
# **The front:** efficacy against specificity. A point to the upper right of the λ curve is one that λ does
# not reach.

# %%
show("front")

# %% [markdown]
# In numbers: of the settings of each kind, how many lie beyond the curve (its interval over seeds and all),
# how many does some λ beat in both measures, and how many are undecided? Those off the end of the curve are
# not judged: a λ beyond those tried might do as well. "Furthest" is in the units of the axes.

# %%
for host, points in chosen(fronts):
    shares = front_shares(front_gaps(points), samples=SAMPLES)
    shares["kind"] = shares["operator"] + shares["variant"].map(lambda words: f", {words}" if words else "")
    print(f"\n{host}")
    columns = ["base", "kind", "settings", "beyond", "undecided", "dominated", "off the curve", "furthest"]
    print(shares[columns].to_string(index=False, float_format="{:.3f}".format, na_rep="–"))
    for base, kinds in shares.groupby("base", sort=False):
        beyond = kinds[kinds["beyond"] > 0]["kind"]
        words = f"reached by {'; '.join(beyond)}" if len(beyond) else "reached by none of these"
        print(f"    {base}: what λ alone does not reach is {words}")

# %% [markdown]
# **What it shows.** Whether the controls do as well as SPHERE tells what the *principal* directions are
# worth; whether λ does, what a projection is worth at all.
#
# **What it does not show.** One layer, one batch size and one length of stream a host: other layers have
# other spectra.
