"""Writes theta.json: what statsforecast makes of a few synthetic series by the theta method.

Run with statsforecast 2.1.1: `python make_theta.py`. For every series it holds the mean squared error,
parameters and forecasts of each of its four variants.
"""

import json
import pathlib
import warnings

import numpy as np
from statsforecast.theta import auto_theta, forecast_theta
from statsmodels.tsa.seasonal import seasonal_decompose

warnings.simplefilter("ignore")
HORIZON = 12


def series():
    rng = np.random.default_rng(11)
    n = 84
    t = np.arange(n)
    walk = 50 + np.cumsum(rng.normal(size=n))
    trend = 20 + 0.5 * t + np.cumsum(0.5 * rng.normal(size=n))
    noise = 30 + 2 * rng.normal(size=n)
    yield "walk", walk, 1, None
    yield "trend", trend, 1, None
    yield "noise", noise, 1, None
    season = np.tile([1.2, 0.9, 0.7, 1.0, 1.1, 1.1], n // 6)
    yield "multiplicative", trend * season, 6, "multiplicative"
    yield "additive", trend - 60 + 10 * season, 6, "additive"


def mean_squared_error(residuals, index, kind):
    """One step ahead, of the adjusted series, without the first three: `mse` is over three horizons."""
    plain = residuals
    if kind == "multiplicative":
        plain = residuals / index
    elif kind == "additive":
        plain = residuals - index
    return float((plain[3:] ** 2).mean())


def main():
    cases = []
    for name, y, m, kind in series():
        y = np.round(y, 4)
        variants = {}
        index = np.ones(m) if kind == "multiplicative" else np.zeros(m)
        if kind:
            index = seasonal_decompose(y, period=m, model=kind).seasonal[:m]
        index_at = np.resize(index, len(y))
        for model in ["STM", "OTM", "DSTM", "DOTM"]:
            kwargs = {"decomposition_type": kind} if kind else {}
            fit = auto_theta(y, m=m, model=model, **kwargs)
            variants[model] = {
                "mse": mean_squared_error(fit["residuals"], index_at, kind),
                "alpha": float(fit["par"]["alpha"]),
                "theta": float(fit["par"]["theta"]),
                "level": float(fit["par"]["initial_smoothed"]),
                "mean": forecast_theta(fit, HORIZON)["mean"].tolist(),
            }
        cases.append({"name": name, "season": m, "y": y.tolist(), "variants": variants})
    out = pathlib.Path(__file__).with_name("theta.json")
    text = json.dumps({"horizon": HORIZON, "cases": cases})
    out.write_text(text.replace('{"name"', '\n{"name"').replace(' "variants"', '\n "variants"') + "\n")


if __name__ == "__main__":
    main()
