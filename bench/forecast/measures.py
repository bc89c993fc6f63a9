"""The measures of docs/backtest.md, computed apart from the Rust code, and quantiles from statsforecast's intervals."""

import math
import sys

import numpy as np

# The probability levels of evenkeel_core::forecast::LEVELS, and the central intervals (percent) which make them.
LEVELS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995]
INTERVALS = [99, 98, 95, 90, 80, 50]


def progress(text):
    """Says how far it is, to a person."""
    if sys.stderr.isatty():
        print(f"\r{text:<40}\r", end="", file=sys.stderr, flush=True)


def quantiles(forecast):
    """An array (horizon, 13) from what a statsforecast model's `forecast` gives with `level=INTERVALS`.

    Keys are `lo-95`, or `lo-95.0` in some releases.
    """
    def side(name, level):
        return forecast.get(f"{name}-{level}", forecast.get(f"{name}-{level:.1f}"))

    lower = [side("lo", level) for level in INTERVALS]
    upper = [side("hi", level) for level in reversed(INTERVALS)]
    return np.stack([np.asarray(q, float) for q in [*lower, forecast["mean"], *upper]], axis=1)


def scale(history, season):
    """Mean |y(t) - y(t - season)|, pairs with a gap left out; None where it is no measure."""
    history = np.asarray(history, float)
    if len(history) <= season:
        return None
    differences = np.abs(history[season:] - history[:-season])
    differences = differences[np.isfinite(differences)]
    mean = float(np.mean(differences)) if len(differences) else 0.0
    return mean if math.isfinite(mean) and mean > 0 else None


def interval(q, level):
    """Lower and upper of the central interval at one of the levels above."""
    tail = (1 - level) / 2
    low = int(np.argmin([abs(l - tail) for l in LEVELS]))
    assert abs(LEVELS[low] - tail) < 1e-9, level
    return q[:, low], q[:, len(LEVELS) - 1 - low]


def scores(q, actual, divisor, level=0.95):
    """Forecast quantiles (n, 13) against `actual` (n), of which the finite ones are scored."""
    actual = np.asarray(actual, float)
    known = np.isfinite(actual)
    q, actual = q[known], actual[known]
    point = q[:, LEVELS.index(0.5)]
    lower, upper = interval(q, level)
    error = np.abs(actual - point)
    size = np.abs(actual) + np.abs(point)
    smape = 200 * np.divide(error, size, out=np.zeros_like(error), where=size > 0)
    penalty = 2 / (1 - level) * (np.maximum(lower - actual, 0) + np.maximum(actual - upper, 0))
    over = actual[:, None] - q
    pinball = np.where(over >= 0, np.array(LEVELS) * over, (np.array(LEVELS) - 1) * over)

    def scaled(values):
        return float(np.mean(values)) / divisor if divisor else None

    return {
        "smape": float(np.mean(smape)),
        "mase": scaled(error),
        "msis": scaled(upper - lower + penalty),
        "coverage": float(np.mean((lower <= actual) & (actual <= upper))),
        "pinball": scaled(pinball),
        "points": int(known.sum()),
    }
