"""statsforecast's AutoETS, rolling, at the origins of a back-test of ours and with its own intervals. JSON on stdout.

Between fits the fitted model is carried forward over what came (`forward`), which is the nearest that it has to an update. It takes
no gaps: they are filled with the last value for it, and are not scored. Settings, seasons of the scale, and which series there are
come from the document of ours.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from statsforecast.models import AutoETS

from measures import INTERVALS, interval, progress, quantiles, scale, scores

warnings.filterwarnings("ignore")
QUARTERS = 4


def read(path):
    """Values at equal steps, the median gap; the last sample of a step counts, a step without one is NaN."""
    frame = pd.read_csv(path, names=["at", "value"], header=0, usecols=[0, 1])
    at = pd.to_datetime(frame["at"]).astype("datetime64[ns]").astype("int64").to_numpy() // 1_000_000
    order = np.argsort(at, kind="stable")
    at, value = at[order], frame["value"].to_numpy(float)[order]
    gaps = np.sort(np.diff(at))
    gaps = gaps[gaps > 0]
    step = gaps[(len(gaps) - 1) // 2]
    slots = (at - at[0] + step // 2) // step
    values = np.full(slots[-1] + 1, np.nan)
    values[slots] = value
    return values


def roll(values, settings, season):
    horizon, warm_up = settings["horizon"], settings["rolling"]["warm_up"]
    stride, refit = settings["rolling"]["stride"], settings["rolling"]["refit"]
    filled = pd.Series(values).ffill().bfill().to_numpy()
    origins = range(warm_up, len(values) - horizon + 1, stride)
    fitted, all_q, all_actual, all_quarter, seconds = None, [], [], [], 0.0
    for number, origin in enumerate(origins):
        begun = time.process_time()
        if number % refit == 0:
            fitted = AutoETS(season_length=1).fit(filled[:origin])
            forecast = fitted.predict(h=horizon, level=INTERVALS)
        else:
            forecast = fitted.forward(y=filled[:origin], h=horizon, level=INTERVALS)
        seconds += time.process_time() - begun
        all_q.append(quantiles(forecast))
        all_actual.append(values[origin : origin + horizon])
        all_quarter += [number * QUARTERS // len(origins)] * horizon
    q, actual, quarter = np.concatenate(all_q), np.concatenate(all_actual), np.array(all_quarter)
    result = {**scores(q, actual, scale(values, season)), "seconds": seconds, "quarters": {}}
    for level in [0.90, 0.99]:
        lower, upper = interval(q, level)
        inside, known = (lower <= actual) & (actual <= upper), np.isfinite(actual)
        shares = [inside[(quarter == i) & known] for i in range(QUARTERS)]
        result["quarters"][f"{level:.2f}"] = [float(s.mean()) if len(s) else None for s in shares]
    return result


def main():
    ours = json.loads(Path(sys.argv[1]).read_text())
    files = {Path(file).stem: file for file in sys.argv[2:]} | {file: file for file in sys.argv[2:]}
    each = {}
    # Compile before the clock starts.
    AutoETS(season_length=1).fit(np.arange(40.0) % 7).forward(y=np.arange(30.0) % 5, h=2, level=INTERVALS)
    for number, series in enumerate(ours["each"]):
        name = series["series"]
        progress(f"AutoETS {number + 1} of {len(ours['each'])}")
        try:
            values, season = read(files[name]), (series["seasons"] or [1])[0]
            if scale(values, season) is None:
                # Nothing to forecast; fitting to it takes AutoETS minutes.
                raise ValueError("does not vary")
            each[name] = roll(values, ours["settings"], season)
        except Exception as error:
            each[name] = {"failed": str(error)}
    progress("")
    json.dump({"each": {name: {"AutoETS": result} for name, result in each.items()}}, sys.stdout)


main()
