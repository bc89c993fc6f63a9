"""Writes ets.json: what statsmodels and statsforecast make of a few synthetic series.

Run with statsmodels 0.15 and statsforecast 2.1.1: `python make_ets.py`. For every series and form it
holds the log-likelihood and the forecasts at fixed parameters (statsmodels), and the least sum of
squares either library finds for that form.
"""

import json
import pathlib
import warnings

import numpy as np
import pandas as pd
from statsforecast.ets import ets_f
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

warnings.simplefilter("ignore")
HORIZON = 30
FIXED = {"alpha": 0.4, "beta": 0.1, "gamma": 0.2, "phi": 0.9}


def series():
    rng = np.random.default_rng(7)
    n = 96
    t = np.arange(n)
    walk = 50 + np.cumsum(rng.normal(size=n))
    trend = 10 + 0.5 * t + np.cumsum(0.3 * rng.normal(size=n)) + rng.normal(size=n)
    saturating = 100 * (1 - np.exp(-t / 15)) + rng.normal(size=n)
    noise = 3 + rng.normal(size=n)
    season = 8 * np.sin(2 * np.pi * t / 12) + 3 * np.cos(4 * np.pi * t / 12)
    yield "walk", walk, 0
    yield "trend", trend, 0
    yield "saturating", saturating, 0
    yield "noise", noise, 0
    yield "seasonal", walk + season, 12
    yield "seasonal trend", trend + season, 12
    quarterly = np.tile([5.0, -2.0, -4.0, 1.0], n // 4)
    yield "quarterly", saturating + quarterly * (1 + t / n), 4


def fixed(y, trend, m):
    """Log-likelihood, forecasts and variances at FIXED, from a plain start."""
    seasonal = list(np.round(y[:m] - y[:m].mean(), 3)) if m else []
    level, slope = round(float(y[: max(m, 4)].mean()), 3), 0.3
    model = ETSModel(
        pd.Series(y),
        error="add",
        trend=None if trend == "none" else "add",
        damped_trend=trend == "damped",
        seasonal="add" if m else None,
        seasonal_periods=m or None,
    )
    names = model.param_names
    values = {
        "smoothing_level": FIXED["alpha"],
        "smoothing_trend": FIXED["beta"],
        "smoothing_seasonal": FIXED["gamma"],
        "damping_trend": FIXED["phi"],
        "initial_level": level,
        "initial_trend": slope,
    }
    # Its first season in time is the last of these names.
    values |= {f"initial_seasonal.{i}": s for i, s in enumerate(reversed(seasonal))}
    result = model.smooth([values[name] for name in names])
    forecast = result.get_prediction(start=len(y), end=len(y) + HORIZON - 1)
    return {
        "level": level,
        "slope": 0.0 if trend == "none" else slope,
        "season": seasonal,
        "log_likelihood": float(result.llf),
        "sse": float((result.resid**2).sum()),
        "mean": np.asarray(forecast.predicted_mean).tolist(),
        # Per unit of the variance of an innovation.
        "growth": (np.asarray(forecast.forecast_variance) / np.mean(result.resid**2)).tolist(),
    }


def optimum(y, trend, m):
    """The sums of squares at the optimum of either library."""
    model = ETSModel(
        pd.Series(y),
        error="add",
        trend=None if trend == "none" else "add",
        damped_trend=trend == "damped",
        seasonal="add" if m else None,
        seasonal_periods=m or None,
    )
    squares = float((model.fit(disp=False, maxiter=2000).resid ** 2).sum())
    letters = "A" + ("N" if trend == "none" else "A") + ("A" if m else "N")
    theirs = ets_f(y, m=m or 1, model=letters, damped=trend == "damped")
    return {"statsmodels": squares, "statsforecast": float((theirs["residuals"] ** 2).sum())}


def main():
    cases = []
    for name, y, m in series():
        y = np.round(y, 4)
        forms = []
        for trend in ["none", "additive", "damped"]:
            forms.append({"trend": trend, "fixed": fixed(y, trend, m), "optimum": optimum(y, trend, m)})
        cases.append({"name": name, "season": m, "y": y.tolist(), "forms": forms})
    out = pathlib.Path(__file__).with_name("ets.json")
    text = json.dumps({"smoothing": FIXED, "horizon": HORIZON, "cases": cases})
    # A case per line; floats as they are.
    out.write_text(text.replace('{"name"', '\n{"name"').replace('{"trend"', '\n {"trend"') + "\n")


if __name__ == "__main__":
    main()
