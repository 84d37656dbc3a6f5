"""The failure time model against what it is fitted to."""

from __future__ import annotations

import numpy as np
import pytest

from sphere_theory.study.failure_time import FailureTime


def _simulated(count: int, seed: int = 0):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(count, 1))
    times = np.exp(6 - 0.7 * x[:, 0] + 0.4 * generator.normal(size=count))
    return x, times


def test_runs_that_have_not_got_there_are_not_lost():
    x, times = _simulated(4000)
    stopped = times > 500
    seen = np.minimum(times, 500)
    model = FailureTime.fit(x, seen, ~stopped)
    medians, _, _ = model.predict(np.array([[0.0], [1.0]]))
    assert 0.2 < stopped.mean() < 0.5
    np.testing.assert_allclose(np.log(medians), [6, 5.3], atol=0.03)
    assert model.sigma == pytest.approx(0.4, abs=0.02)
    # Without them every forecast is too early: the test has power.
    naive, _, _ = FailureTime.fit(x[~stopped], seen[~stopped], np.ones((~stopped).sum(), bool)).predict(
        np.array([[0.0]])
    )
    assert np.log(naive[0]) < 5.9


def test_intervals_cover_what_they_say_with_few_runs():
    inside = []
    for seed in range(400):
        x, times = _simulated(13, seed)
        model = FailureTime.fit(x[:12], times[:12], np.ones(12, dtype=bool))
        _, low, high = model.predict(x[12:], confidence=0.9)
        inside.append(low[0] <= times[12] <= high[0])
    assert np.mean(inside) == pytest.approx(0.9, abs=0.04)


def test_a_predictor_that_does_not_vary_is_the_count_alone():
    x, times = _simulated(20)
    reached = np.ones(20, dtype=bool)
    plain = FailureTime.fit(x[:, :0], times, reached).predict(np.empty((1, 0)))
    constant = FailureTime.fit(np.full((20, 1), 3.0), times, reached).predict(np.array([[3.0]]))
    np.testing.assert_allclose(constant, plain)
    assert plain[0][0] == pytest.approx(np.exp(np.log(times).mean()))
