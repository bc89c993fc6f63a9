"""Writes mstl.json: what statsmodels makes of a synthetic series with two seasons by MSTL and STL.

Run with statsmodels 0.15: `python make_mstl.py`. Jumps of a tenth of each window, two inner loops and
seasons smoothed by means are the defaults of R's `stl`, and those of `stlrs`.
"""

import json
import math
import pathlib

import numpy as np
from statsmodels.tsa.seasonal import STL


def mstl(y, periods, windows, rounds=2):
    """MSTL (Bandara, Hyndman and Bergmeir 2021) by the STL of statsmodels, jumps for each season's own
    windows: its own MSTL has one setting for all."""
    deseasonal, seasonal = y.copy(), [np.zeros_like(y) for _ in periods]
    for _ in range(1 if len(periods) == 1 else rounds):
        for i, (period, window) in enumerate(zip(periods, windows)):
            deseasonal = deseasonal + seasonal[i]
            trend = math.ceil(1.5 * period / (1 - 1.5 / window))
            trend += trend % 2 == 0
            # The next odd number, which for an odd period statsmodels does not allow.
            low = period + 1
            jumps = [math.ceil(w / 10) for w in (window, trend, low)]
            stl = STL(
                deseasonal, period=period, seasonal=window, trend=trend, low_pass=low, seasonal_deg=0,
                seasonal_jump=jumps[0], trend_jump=jumps[1], low_pass_jump=jumps[2],
            )
            result = stl.fit(inner_iter=2, outer_iter=0)
            seasonal[i] = result.seasonal
            deseasonal = deseasonal - seasonal[i]
    return result.trend, seasonal, deseasonal - result.trend


def main():
    rng = np.random.default_rng(3)
    n = 168
    t = np.arange(n)
    short = np.tile([3.0, 1.0, -2.0, 0.5, -1.5, -1.0], n // 6) * (1 + t / (2 * n))
    long = 6 * np.sin(2 * np.pi * t / 28) + 2 * np.cos(6 * np.pi * t / 28)
    y = np.round(40 + 0.1 * t + short + long + 0.5 * rng.normal(size=n), 4)
    cases = []
    for seasons, windows in [([6], [11]), ([6, 28], [11, 15])]:
        trend, seasonal, remainder = mstl(y, seasons, windows)
        cases.append({
            "seasons": seasons,
            "trend": np.round(trend, 9).tolist(),
            "seasonal": [np.round(s, 9).tolist() for s in seasonal],
            "remainder": np.round(remainder, 9).tolist(),
        })
    out = pathlib.Path(__file__).with_name("mstl.json")
    text = json.dumps({"y": y.tolist(), "cases": cases})
    out.write_text(text.replace('{"seasons"', '\n{"seasons"').replace('"remainder"', '\n "remainder"') + "\n")


if __name__ == "__main__":
    main()
