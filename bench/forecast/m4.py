"""statsforecast on series of an M4 data set: fit, forecast with intervals, score. JSON on stdout.

`names` prints which series these are: as many as asked for, spread evenly over the file, since neighbours are alike. `run` runs.

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

from measures import INTERVALS, LEVELS, progress, quantiles, scale, scores

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


def spread(names, count):
    """So many of them, at equal distances from the first on."""
    count = min(count, len(names))
    return [names[i * len(names) // count] for i in range(count)]


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["names", "run"])
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--series", type=int, required=True)
    parser.add_argument("--arima-series", type=int, default=0)
    parser.add_argument("--season", default="1")
    return parser.parse_args()


def run_model(make, history, actual, season):
    begun = time.process_time()
    try:
        forecast = make().forecast(y=history, h=len(actual), level=INTERVALS)
    except Exception as error:
        return {"failed": str(error)}
    seconds = time.process_time() - begun
    return {**scores(quantiles(forecast), actual, scale(history, season)), "seconds": seconds}


def main():
    args = arguments()
    train, test = read(args.train), read(args.test)
    names = spread([name for name in train if name in test], args.series)
    if args.what == "names":
        print("\n".join(names))
        return
    seasons = [int(season) for season in args.season.split(",")]
    each = {name: {} for name in names}
    for label, make in models(seasons, args.arima_series > 0).items():
        chosen = spread(names, args.arima_series) if label == "AutoARIMA" else names
        # Compile on a short stretch, so that no series pays for it.
        warm = train[names[0]][-3 * max(seasons) if label == "MSTL+ETS" else -3 * seasons[0] :]
        run_model(make, warm, test[names[0]][:2], seasons[0])
        for number, name in enumerate(chosen):
            progress(f"{label} {number + 1} of {len(chosen)}")
            each[name][label] = run_model(make, train[name], test[name], seasons[0])
    for name in names:
        # No model of theirs: shows that both sides measure the same.
        last = np.full((len(test[name]), len(LEVELS)), train[name][-1])
        each[name]["check"] = scores(last, test[name], scale(train[name], seasons[0]))
    progress("")
    json.dump({"seasons": seasons, "each": each}, sys.stdout)


main()
