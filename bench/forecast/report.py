"""One table out of our document and theirs: `report.py m4|nab OURS THEIRS`."""

import json
import sys
from pathlib import Path

MEASURES = ["smape", "mase", "msis", "coverage", "pinball", "seconds"]


def mean(values):
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else None


def text(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def table(headings, rows):
    """Columns aligned; numbers to the right."""
    cells = [headings, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    for row in cells:
        print("  " + "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))))


def by_model(each, names):
    """Model to its results on `names`, those that failed left out."""
    found = {}
    for name in names:
        for model, result in each[name].items():
            if "failed" not in result:
                found.setdefault(model, {})[name] = result
    return found


def means(results):
    return {measure: mean(result.get(measure) for result in results.values()) for measure in MEASURES}


def row(label, results):
    m = means(results)
    digits = [2, 3, 2, 3, 4, 4]
    return [label, *(text(m[measure], d) for measure, d in zip(MEASURES, digits)), str(len(results))]


HEADINGS = ["", "sMAPE", "MASE", "MSIS 95", "coverage 95", "pinball", "s/series", "series"]


def ratios(ours, theirs):
    """The mixture's means by theirs, on the series that both have."""
    rows = []
    mixture = ours.get("mixture", {})
    for label, results in theirs.items():
        both = [name for name in results if name in mixture]
        a, b = means({n: mixture[n] for n in both}), means({n: results[n] for n in both})
        cells = [f"mixture / {label}"]
        for measure in MEASURES:
            if measure == "coverage" or a[measure] is None or not b[measure]:
                cells.append("")
            else:
                cells.append(f"{a[measure] / b[measure]:.3f}")
        rows.append([*cells, str(len(both))])
    return rows


def check_m4(ours, theirs):
    """Both sides score the last value alike, or the table compares nothing."""
    checks = theirs.pop("check", {})
    worst = 0.0
    for name, result in checks.items():
        mine = ours.get("last-value", {}).get(name)
        for measure in ["smape", "mase"] if mine else []:
            if mine[measure] is not None and result[measure] is not None:
                worst = max(worst, abs(mine[measure] - result[measure]) / max(1.0, result[measure]))
    if worst > 1e-9:
        sys.exit(f"the two sides do not measure alike: the last value's scores differ by {worst:.2e}")


def m4(ours_document, theirs_document):
    ours_each = {s["series"]: s["models"] for s in ours_document["each"]}
    names = [name for name in ours_each if name in theirs_document["each"]]
    ours, theirs = by_model(ours_each, names), by_model(theirs_document["each"], names)
    check_m4(ours, theirs)
    print(f"M4, fixed split: {len(names)} series, season {theirs_document['seasons']}")
    rows = [row(model, results) for model, results in ours.items()]
    rows += [row(f"statsforecast {model}", results) for model, results in theirs.items()]
    arima = theirs.get("AutoARIMA", {})
    if arima and len(arima) < len(names):
        for model, results in ours.items():
            subset = {name: result for name, result in results.items() if name in arima}
            rows.append(row(f"{model}, AutoARIMA's series", subset))
    table(HEADINGS, rows + ratios(ours, theirs))
    print()


def quarter_cells(results, level):
    """Coverage in all, the greatest distance of a quarter from the level, and where."""
    distance, where, shares = 0.0, "", []
    for name, result in results.items():
        quarters = [share for share in result["quarters"][level] if share is not None]
        shares.append(mean(quarters))
        for number, share in enumerate(result["quarters"][level]):
            if share is not None and abs(share - float(level)) > distance:
                distance, where = abs(share - float(level)), f"{name} q{number + 1}"
    within = [
        abs(share - float(level)) <= 0.05
        for result in results.values()
        for share in result["quarters"][level]
        if share is not None
    ]
    share_within = f"{sum(within)}/{len(within)}"
    return [text(mean(shares), 3), text(distance, 3), share_within, where]


def varies(models):
    return any(result.get("mase") is not None for result in models.values())


def nab(ours_document, theirs_document):
    ours_each = {s["series"]: s["models"] for s in ours_document["each"]}
    names = [name for name in ours_each if name in theirs_document["each"] and varies(ours_each[name])]
    ours, theirs = by_model(ours_each, names), by_model(theirs_document["each"], names)
    for name in names:
        points = {r["points"] for models in (ours_each, theirs_document["each"]) for r in models[name].values() if "points" in r}
        if len(points) > 1:
            print(f"{name}: the two sides scored different points: {points}", file=sys.stderr)
    settings = ours_document["settings"]
    constant = [name for name in ours_each if not varies(ours_each[name])]
    print(f"rolling, 1 to {settings['horizon']} steps: {len(names)} series, {settings['rolling']}")
    if constant:
        print(f"left out, since they do not vary: {', '.join(constant)}")
    everyone = {**ours, **{f"statsforecast {model}": results for model, results in theirs.items()}}
    table(HEADINGS, [row(label, results) for label, results in everyone.items()] + ratios(ours, theirs))
    print()
    headings = ["coverage", "of", "in all", "worst quarter off by", "quarters within .05", "worst quarter"]
    # The Numenta benchmark calls artificial series `art_...`; what is aimed at is the real ones.
    real = [name for name in names if not name.startswith("art_")]
    groups = {"": names} if len(real) in (0, len(names)) else {"": names, ", real series": real}
    rows = []
    for group, chosen in groups.items():
        for label, results in everyone.items():
            subset = {name: result for name, result in results.items() if name in chosen}
            rows += [[label + group, level, *quarter_cells(subset, level)] for level in ["0.90", "0.99"]]
    table(headings, rows)


def main():
    part, ours, theirs = sys.argv[1:]
    ours, theirs = (json.loads(Path(path).read_text()) for path in (ours, theirs))
    {"m4": m4, "nab": nab}[part](ours, theirs)


main()
