"""Holds the orders that Arima::auto finds against statsforecast's AutoARIMA (2.1.1), by AICc.

Run: pip install numpy statsforecast statsmodels
     cargo run --release -p evenkeel-forecast --example arima_cost series | python compare_arima.py

Both criteria count coefficients, mean and variance, and are on the scale of the series. They compare
only where both difference equally often: other series are counted apart. `as stated` takes the AICc
that statsforecast states. It starts its filter with a large variance instead of an infinite one, which
makes its likelihood up to one unit too high where a moving average has a root near the unit circle;
`exact` is the AICc of the exact likelihood (statsmodels) at the parameters that statsforecast found.
"""

import sys
import warnings

import numpy as np
from statsforecast.arima import auto_arima_f
from statsmodels.tsa.statespace.sarimax import SARIMAX

warnings.simplefilter("ignore")


def exact(y, fit):
    p, q, _, _, _, d, _ = fit["arma"]
    named = fit["coef"].items()
    mean = [c for name, c in named if name in ("drift", "intercept")]
    lags = [c for name, c in named if name.startswith("ar")]
    lags += [c for name, c in named if name.startswith("ma")]
    w = np.diff(y, n=d)
    ones = np.ones(len(w)) if mean else None
    model = SARIMAX(w, ones, (p, 0, q), concentrate_scale=True, enforce_invertibility=False)
    k = len(mean) + len(lags) + 1
    return -2 * model.smooth(mean + lags).llf + 2 * k + 2 * k * (k + 1) / (len(w) - k - 1)


series = equal = 0
within = {"as stated": 0, "exact": 0}
better = {"as stated": 0, "exact": 0}
for line in sys.stdin:
    d, aicc, name, *values = line.split()
    y = np.array(values, dtype=float)
    fit = auto_arima_f(y, approximation=False)
    p, q, _, _, _, their_d, _ = fit["arma"]
    series += 1
    if their_d != int(d):
        continue
    equal += 1
    for key, theirs in {"as stated": fit["aicc"], "exact": exact(y, fit)}.items():
        excess = float(aicc) - theirs
        within[key] += excess <= 1
        better[key] += excess < -1
        if excess > 1:
            print(f"{name} is {excess:.2f} above ARIMA({p},{their_d},{q}), {key}")
print(f"{series} series, {equal} with equal differences")
for key in within:
    print(f"{key}: within 1 or better {within[key] / equal:.1%}, better by more than 1 {better[key] / equal:.1%}")
