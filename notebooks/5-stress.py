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
# # 5 · Stress: when do many small edits stop being small?
#
# **Question.** The paper's first open question: Theorem 1 assumes small perturbations. After how many edits
# does that stop being true, and what happens to the bound then?
#
# **Method.** Long streams (at full budget up to 100,000 edits) with keys that have the second moment of
# real ones. The ridge λ sets the size of a step. At each measure point the whole way from the pretrained
# weights is audited: does one certificate cover it, is every single step certified, is the first order
# right to 10%, how tight is the bound?

# %%
from IPython.display import display
from notebook_store import SAMPLES, chosen, show, spread

from sphere_theory.analysis.selection import audited, step_sizes
from sphere_theory.analysis.smallness import CRITERIA, ends_by_setting, ends_of_smallness, step_exponents
from sphere_theory.study.answers import ends_in_words

show("stress")

# %% [markdown]
# Tightness of the certified bound on the whole way, where it applies; 1 would be sharp.

# %%
for host, points in chosen(audited):
    holds = points[points["total_certified"] == "holds"]
    violated = int((points["total_certified"] == "violated").sum())
    longest = int(points["edits"].max())
    print(f"\n{host}, {points['run'].nunique()} runs, up to {longest:,} edits")
    applies = len(holds) + violated
    print(f"    the certificate applies at {applies:,} of {len(points):,} points, violated at {violated}")
    last = holds["edits"].max()
    print(f"    last point where it applies: {f'{last:,.0f} edits' if len(holds) else 'none'}")

# %% [markdown]
# **By step size.** Where each of these ends, as a function of the step and the edit count:

# %%
show("stress-steps")

# %% [markdown]
# The first measured edit count at which each no longer holds, 95% intervals over seeds. "≤": it held at no
# point, so that it may have ended sooner; "≥": some seeds held to the end of their stream; "–": no seed was
# ever there. Steps are ‖ΔW_t‖/‖W‖.
# %%
for host, points in chosen(step_sizes):
    ends = ends_by_setting(ends_of_smallness(points)).sort_values(["base", "editor", "strength"])
    setting = ends["editor"] + ", λ = " + ends["strength"].map("{:g}".format)
    counts = [ends_in_words([row]) for row in ends.to_dict("records")]
    table = ends.assign(setting=setting, count=counts, criterion=ends["criterion"].map(CRITERIA))
    table["step"] = table["step"].map("{:.1e}".format)
    print(host)
    display(
        table
        .pivot(index=["setting", "step"], columns="criterion", values="count")
        .loc[list(dict.fromkeys(zip(setting, table["step"], strict=True)))]
        .reindex(columns=CRITERIA.values())
        .fillna("–")
        .reset_index("step")
        .rename_axis(columns=None)
    )

# %% [markdown]
# How the count falls with the step: $p$ in edits ∝ step$^p$. Independent steps add up as the root of their
# number, $p = -2$; steps in one direction make $p = -1$.

# %%
for host, points in chosen(step_sizes):
    print(host)
    for _, row in step_exponents(ends_of_smallness(points), samples=min(SAMPLES, 200)).iterrows():
        known = (
            spread(row, "exponent") if row["exponent"] == row["exponent"] else "not to be had from these runs"
        )
        print(f"    {CRITERIA[row['criterion']]}: {known}")

# %% [markdown]
# **What it shows.** The edit count at which each assumption stops holding, by step size, and that edits may
# go on being there after the bound has nothing left to say, or be lost before: both stand in the table.
#
# **What it does not show.** Keys here are Gaussian with a real covariance, and facts are drawn anew: real
# streams repeat subjects. A certificate that does not apply is no violation: nothing is known there.
