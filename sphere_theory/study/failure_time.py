"""A log-normal accelerated failure time model: how long until, with runs that have not got there yet.

log T = a + bᵀx + σε, ε standard normal. A run that was stopped before its T still says that T is larger;
leaving it out would make every forecast too early. Fitted by expectation–maximisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Vector = np.ndarray

# Pull of the standardised coefficients b towards 0, as one more run would have it: with few runs a
# predictor that tells nothing is then close to none.
_PENALTY = 1.0
_STEPS, _TOLERANCE = 500, 1e-9


@dataclass(frozen=True, eq=False)
class FailureTime:
    """A fitted model.

    Attributes
    ----------
    centre, scale
        Of the predictors that it was fitted on, (p,).
    coefficients
        a and b of the standardised predictors, (p + 1,).
    sigma
        σ.
    covariance
        Of the coefficients, in units of σ².
    freedom
        Degrees of freedom of σ.
    """

    centre: Vector
    scale: Vector
    coefficients: Vector
    sigma: float
    covariance: np.ndarray
    freedom: int

    @classmethod
    def fit(cls, predictors: np.ndarray, times: Vector, reached: Vector) -> FailureTime:
        """Fit to runs.

        Parameters
        ----------
        predictors
            (m, p), p may be 0; a column that does not vary is given no coefficient.
        times
            T where it was reached, else how far the run went.
        reached
            Whether, (m,); once at least.

        Returns
        -------
        FailureTime
            The model.
        """
        centre, scale = predictors.mean(axis=0), predictors.std(axis=0)
        varies = scale > 1e-12 * np.maximum(1, np.abs(centre))
        scale = np.where(varies, scale, np.inf)
        design = _design(predictors, centre, scale)
        penalty = np.diag([0.0] + [_PENALTY] * predictors.shape[1])
        inverse = np.linalg.inv(design.T @ design + penalty)
        freedom = max(1, len(times) - 1 - int(varies.sum()))
        logs = np.log(times)
        y, extra = logs, np.zeros_like(logs)
        coefficients, sigma = np.zeros(design.shape[1]), 1.0
        for _ in range(_STEPS):
            before = coefficients
            coefficients = inverse @ design.T @ y
            mean = design @ coefficients
            # Never 0: runs that agree to the last edit are an accident of their number.
            sigma = max(1e-3, float(np.sqrt((((y - mean) ** 2) + extra).sum() / freedom)))
            if np.abs(coefficients - before).max() < _TOLERANCE:
                break
            y, extra = _expected(logs, mean, sigma, reached)
        return cls(centre, scale, coefficients, sigma, inverse, freedom)

    def predict(self, predictors: np.ndarray, *, confidence: float = 0.9) -> tuple[Vector, Vector, Vector]:
        """T of new runs.

        Parameters
        ----------
        predictors
            (k, p).
        confidence
            Of the interval.

        Returns
        -------
        median, low, high
            (k,) each.
        """
        from scipy.stats import t

        design = _design(predictors, self.centre, self.scale)
        mean = design @ self.coefficients
        leverage = np.einsum("ij,jk,ik->i", design, self.covariance, design)
        reach = t.ppf((1 + confidence) / 2, self.freedom) * self.sigma * np.sqrt(1 + leverage)
        return np.exp(mean), np.exp(mean - reach), np.exp(mean + reach)


def _design(predictors: np.ndarray, centre: Vector, scale: Vector) -> np.ndarray:
    return np.column_stack([np.ones(len(predictors)), (predictors - centre) / scale])


def _expected(logs: Vector, mean: Vector, sigma: float, reached: Vector) -> tuple[Vector, Vector]:
    """log T, where it was not reached its mean and variance given that it is larger."""
    from scipy.special import erfcx

    z = (logs - mean) / sigma
    hazard = np.sqrt(2 / np.pi) / erfcx(z / np.sqrt(2))
    y = np.where(reached, logs, mean + sigma * hazard)
    extra = np.where(reached, 0.0, sigma**2 * (1 + z * hazard - hazard**2))
    return y, extra
