"""statsforecast on the first series of an M4 data set: fit, forecast with intervals, score. JSON on stdout.

Each model is called on one series at a time, in one process, and timed by processor time; what numba compiles on the first call is
not counted (a series is forecast before the clock starts).
"""

import argparse
import csv
import json
import sys
import time
import warnings

import numpy as np
from statsforecast.models import MSTL, AutoARIMA, AutoETS, AutoTheta, SeasonalNaive

from measures import INTERVALS, LEVELS, quantiles, scale, scores

warnings.filterwarnings("ignore")


def read(path):
    """Rows by id, without a line of headings and without empty cells at the end."""
    rows = {}
    with open(path, newline="", encoding="utf-8-sig") as file:
        for row in csv.reader(file):
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            if len(cells) < 2:
                continue
            try:
                rows[cells[0]] = np.array([float(cell) for cell in cells[1:]])
            except ValueError:
                if rows:
                    raise
    return rows


def models(seasons, with_arima):
    season = seasons[0]
    found = {
        "SeasonalNaive": lambda: SeasonalNaive(season_length=season),
        "AutoETS": lambda: AutoETS(season_length=season),
        "AutoTheta": lambda: AutoTheta(season_length=season),
        "MSTL+ETS": lambda: MSTL(season_length=seasons, trend_forecaster=AutoETS(model="ZZN")),
    }
    if with_arima:
        found["AutoARIMA"] = lambda: AutoARIMA(season_length=season)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--series", type=int, required=True)
    parser.add_argument("--arima-series", type=int, required=True)
    parser.add_argument("--season", required=True)
    args = parser.parse_args()
    seasons = [int(season) for season in args.season.split(",")]

    train, test = read(args.train), read(args.test)
    names = [name for name in train if name in test][: args.series]
    all_models = models(seasons, args.arima_series > 0)
    each = {name: {} for name in names}
    for label, make in all_models.items():
        chosen = names[: args.arima_series] if label == "AutoARIMA" else names
        # Compile on a short stretch, so that no series pays for it.
        warm = train[names[0]][-6 * max(seasons) if label == "MSTL+ETS" else -6 * seasons[0] :]
        make().forecast(y=warm, h=2, level=INTERVALS)
        for number, name in enumerate(chosen):
            print(f"\r{label} {number + 1} of {len(chosen)}   ", end="", file=sys.stderr)
            history, actual = train[name], test[name]
            begun = time.process_time()
            try:
                forecast = make().forecast(y=history, h=len(actual), level=INTERVALS)
            except Exception as error:
                each[name][label] = {"failed": str(error)}
                continue
            seconds = time.process_time() - begun
            result = scores(quantiles(forecast), actual, scale(history, seasons[0]))
            each[name][label] = {**result, "seconds": seconds}
    for name in names:
        # No model of theirs: shows that both sides measure the same.
        last = np.full((len(test[name]), len(LEVELS)), train[name][-1])
        each[name]["check"] = scores(last, test[name], scale(train[name], seasons[0]))
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    json.dump({"seasons": seasons, "each": each}, sys.stdout)


main()
