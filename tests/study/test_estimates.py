"""One number, one source: what the findings print and the ledger quotes are the same objects."""

from __future__ import annotations

import math

import pytest

from sphere_theory.errors import InputError
from sphere_theory.study.estimates import (
    ENERGY,
    NONE,
    SIZE,
    Audited,
    Estimate,
    Estimates,
    HostEstimates,
    Signal,
    committed_estimates,
    read_estimates,
    rounded,
)
from sphere_theory.study.predictors import PREDICTORS

SIGNAL = Signal(ENERGY, "HE", Estimate(-0.5, -0.75, -0.25), NONE, Estimate(0.625, 0.5, 0.75), 0.5, 300.0, 0.1)
HOST = HostEstimates("a layer", 4, 2, 1500, (SIGNAL,), (), ("edit count",))
COUNTS = {"holds": 3, "violated": 1, "undecided": 0, "not applicable": 2}
AUDITED = Audited(6, 2, {"step": {"triangle": COUNTS}, "total": {"triangle": COUNTS}})


def test_every_host_has_every_predictor_with_the_two_that_the_verdict_is_about():
    for host in committed_estimates().hosts:
        assert [one.name for one in host.signals] == list(PREDICTORS)
        assert all(host.signal(name).correlation.known for name in (ENERGY, SIZE))


def test_estimates_survive_their_json_and_nan_is_null():
    for found in (Estimates((HOST,), AUDITED), Estimates(())):
        again = read_estimates(found.json())
        assert again.json() == found.json()
        assert "NaN" not in found.json()
    (host,) = read_estimates(Estimates((HOST,)).json()).hosts
    assert host.signals[0].correlation == SIGNAL.correlation
    assert math.isnan(host.signals[0].given_edits.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"hosts": [{}], "audited": null}'])
def test_another_text_is_refused(text):
    with pytest.raises(InputError, match="text: expected estimates"):
        read_estimates(text)


def test_intervals_meet_where_they_overlap():
    left = Estimate(0.0, -1.0, 0.5)
    assert left.meets(Estimate(1.0, 0.5, 2.0))
    assert not left.meets(Estimate(1.0, 0.6, 2.0))
    assert not Estimate(1.0, 0.6, 2.0).meets(left)
    assert not left.meets(NONE)
    assert left.known
    assert not NONE.known
    assert str(left) == "0.00 [−1.00, 0.50]"


def test_text_and_json_are_made_of_the_same_digits():
    assert rounded(0.12345678) == 0.123457
    assert Estimate.of({"area": 0.12345678, "low": 0.1, "high": 1.0}, "area").value == 0.123457
