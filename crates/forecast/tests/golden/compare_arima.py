"""Holds the orders that Arima::auto finds against statsforecast's AutoARIMA (2.1.1), by AICc.

Run: pip install numpy statsforecast
     cargo run --release -p evenkeel-forecast --example arima_cost series | python compare_arima.py

Both criteria are those of the exact likelihood of the differenced series, count coefficients, mean
and variance, and are on the scale of the series. They compare only where both difference equally
often: other series are counted apart.
"""

import sys
import warnings

import numpy as np
from statsforecast.arima import auto_arima_f

warnings.simplefilter("ignore")

series = equal = within = better = 0
for line in sys.stdin:
    d, aicc, name, *values = line.split()
    fit = auto_arima_f(np.array(values, dtype=float), approximation=False)
    p, q, _, _, _, their_d, _ = fit["arma"]
    series += 1
    if their_d != int(d):
        continue
    equal += 1
    excess = float(aicc) - fit["aicc"]
    within += excess <= 1
    better += excess < -1
    if excess > 1:
        print(f"{name} is {excess:.2f} above ARIMA({p},{their_d},{q})")
print(f"{series} series, {equal} with equal differences: within 1 or better {within}, better by 1 {better}")
