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
# weights is audited. The bound $\Vert\Delta V\Vert^2 \ge (\Delta\mathrm{HE}/K^*)^2$ is proved for every
# edit; what can end is the argument of the paper: is the sign of ΔHE certified to second order, can two
# neurons have met, is the first order right to 10%? And how tight is the bound?

# %%
from IPython.display import display
from notebook_store import SAMPLES, chosen, show, spread

from sphere_theory.study.questions.small_perturbation import ends_in_words, step_sizes
from sphere_theory.study.questions.theorem import audited
from sphere_theory.study.small_perturbation_ends import (
    CRITERIA,
    ends_by_setting,
    ends_of_smallness,
    step_exponents,
)

show("stress")

# %% [markdown]
# The bound on the whole way, $(\Delta\mathrm{HE}/K^*)^2$ over $\Vert\Delta V\Vert^2$: 1 would be sharp.

# %%
for host, points in chosen(audited):
    violated = int((points["total_unconditional"] == "violated").sum())
    longest, tightness = int(points["edits"].max()), points["total_unconditional_tightness"]
    print(f"\n{host}, {points['run'].nunique()} runs, up to {longest:,} edits")
    print(f"    applies at {len(points):,} of {len(points):,} points, violated at {violated}")
    print(f"    tightness {tightness.median():.1g}, at most {tightness.max():.1g}")
    signed = points.loc[points["total_sign"] != 0, "edits"]
    last = f"{signed.max():,.0f} edits" if len(signed) else "none"
    print(f"    last point where the sign of ΔHE is certified: {last}")

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
# go on being there after the paper's argument has ended, or be lost before: both stand in the table. The
# bound that replaces it does not end; it says little where it is far from tight.
#
# **What it does not show.** Keys here are Gaussian with a real covariance, and facts are drawn anew: real
# streams repeat subjects.
