"""Makes arima.json: series of our own, and what statsmodels' SARIMAX says of them.

Run: pip install numpy statsmodels; python make_arima.py (made with statsmodels 0.15.0)

`given` is the log-likelihood at fixed parameters, with the variance concentrated out, and the
forecasts there; `best` is the log-likelihood that SARIMAX reaches when it estimates.

Settings that give our likelihood: without gaps simple_differencing=True. With gaps the series is
left as it is and use_exact_diffuse=True; statsmodels then counts -log(2 pi)/2 for every diffuse
value (and for the concentrated variance counts these values as observations), so the density of
the others is summed up here from the filter's own innovations. Forecasts are always those of the
exact diffuse filter on the series as it is. A constant is given as a regressor whose differences
are one, so that its coefficient is the mean of the differenced series.
"""

import json
import warnings

import numpy as np
from statsmodels.tsa.statespace.sarimax import SARIMAX

warnings.simplefilter("ignore")
RANDOM = np.random.default_rng(20261125)
STEPS = [1, 2, 3, 5, 8, 12, 24]


def arma(n, ar, ma, burn=100):
    shocks = RANDOM.normal(size=n + burn)
    out = np.zeros(n + burn)
    for t in range(n + burn):
        out[t] = shocks[t]
        out[t] += sum(a * out[t - 1 - i] for i, a in enumerate(ar) if t > i)
        out[t] += sum(b * shocks[t - 1 - i] for i, b in enumerate(ma) if t > i)
    return out[burn:]


def seasonal(n):
    """(1,0,1)(0,1,1)_12."""
    w = arma(n + 36, [0.6], [0.3])
    w[12:] = w[12:] - 0.5 * w[:-12]
    y = 5.0 * np.sin(2 * np.pi * np.arange(n + 36) / 12)
    for t in range(12, n + 36):
        y[t] = y[t - 12] + w[t]
    return y[36:]


def holes(y, where):
    y = y.copy()
    y[where] = np.nan
    return y


def regressor(n, order, season, start=0):
    """A series whose differences are one."""
    t = np.arange(start, start + n, dtype=float)
    d, D, s = order[1], season[1], season[3]
    if d + D == 0:
        return np.ones(n)
    return t / s if D else t


def density(result, lost):
    """Concentrated log-likelihood of all values but those that start a diffuse filter."""
    f = result.filter_results
    seen = ~np.isnan(f.endog[0])
    diffuse = np.zeros(f.nobs, bool)
    if f.forecasts_error_diffuse_cov is not None:
        diffuse = f.forecasts_error_diffuse_cov[0, 0] > 1e-7
    v, F = f.forecasts_error[0], f.forecasts_error_cov[0, 0]
    assert diffuse[seen].sum() == lost, (diffuse[seen].sum(), lost)
    use = seen & ~diffuse
    n = use.sum()
    sigma2 = np.mean(v[use] ** 2 / F[use])
    loglik = -0.5 * (n * (np.log(2 * np.pi * sigma2) + 1) + np.log(F[use]).sum())
    # The filter's variances are already times the scale that SARIMAX concentrated out.
    return loglik, sigma2 * result.scale


def model(y, order, season, constant, **options):
    exog = regressor(len(y), order, season) if constant else None
    return SARIMAX(
        y,
        exog=exog,
        order=order,
        seasonal_order=season,
        trend="n",
        concentrate_scale=True,
        **options,
    )


def case(name, y, order, season, constant, flat, mean):
    lost = order[1] + season[1] * season[3]
    gaps = bool(np.isnan(y).any())
    # SARIMAX orders parameters: exog, ar, ma, seasonal ar, seasonal ma.
    given = np.array(([mean] if constant else []) + flat)
    whole = model(y, order, season, constant, use_exact_diffuse=True).smooth(given)
    loglik, sigma2 = density(whole, lost)
    if not gaps:
        plain = model(y, order, season, constant, simple_differencing=True)
        assert abs(plain.smooth(given).llf - loglik) < 1e-6, (name, plain.smooth(given).llf, loglik)
    options = {"use_exact_diffuse": True} if gaps else {"simple_differencing": True}
    fitted = model(y, order, season, constant, **options)
    best = -np.inf
    if len(given) == 0:
        best = loglik
    for start in [None, given] if len(given) else []:
        for method in ["lbfgs", "nm"]:
            r = fitted.fit(start, method=method, maxiter=2000, disp=0)
            w = model(y, order, season, constant, use_exact_diffuse=True).smooth(r.params)
            best = max(best, density(w, lost)[0])
    future = regressor(max(STEPS), order, season, start=len(y)) if constant else None
    # Scale of the innovations as `density` has it, not as SARIMAX counts.
    ahead = whole.get_forecast(max(STEPS), exog=future)
    variance = ahead.var_pred_mean / whole.scale * sigma2
    pick = [s - 1 for s in STEPS]
    return {
        "name": name,
        "values": [None if np.isnan(v) else round(float(v), 6) for v in y],
        "order": list(order),
        "season": list(season),
        "constant": constant,
        "coefficients": flat,
        "mean": mean if constant else 0.0,
        "given": {
            "loglik": float(loglik),
            "variance": float(sigma2),
            "steps": STEPS,
            "forecast_mean": [float(ahead.predicted_mean[i]) for i in pick],
            "forecast_variance": [float(variance[i]) for i in pick],
        },
        "best": float(best),
    }


NONE = (0, 0, 0, 0)
walk = np.round(np.cumsum(RANDOM.normal(size=150)), 6)
arma21 = np.round(arma(200, [0.5, 0.3], [0.4]) + 10.0, 6)
arima111 = np.round(np.cumsum(arma(160, [0.6], [-0.3])), 6)
trend = np.round(0.3 * np.arange(120) + arma(120, [0.5], []), 6)
step = np.round(np.where(np.arange(140) < 70, 0.0, 8.0) + RANDOM.normal(size=140), 6)
twice = np.round(np.cumsum(np.cumsum(arma(130, [0.3], [])) * 0.1), 6)
season = np.round(seasonal(180), 6)
some = [3, 4, 5, 20, 40, 41, 42, 43, 44, 45, 46, 47, 80, 100, 119]

CASES = [
    case("random walk", walk, (0, 1, 0), NONE, False, [], 0.0),
    case("random walk as an autoregression", walk, (1, 0, 0), NONE, True, [0.97], 1.0),
    case("arma", arma21, (2, 0, 1), NONE, True, [0.45, 0.25, 0.35], 9.5),
    case("arma, too much", arma21, (3, 0, 3), NONE, True, [0.4, 0.2, 0.1, 0.3, 0.1, -0.1], 10.0),
    case("arima", arima111, (1, 1, 1), NONE, False, [0.5, -0.2], 0.0),
    case("arima, drift", arima111, (2, 1, 2), NONE, True, [0.5, 0.1, -0.2, 0.1], 0.05),
    case("trend", trend, (1, 1, 1), NONE, True, [0.4, -0.8], 0.3),
    case("step", step, (0, 1, 1), NONE, False, [-0.7], 0.0),
    case("twice integrated", twice, (1, 2, 1), NONE, False, [0.2, -0.3], 0.0),
    case("seasonal", season, (1, 0, 1), (0, 1, 1, 12), False, [0.5, 0.2, -0.4], 0.0),
    case("seasonal, drift", season, (1, 0, 0), (1, 1, 1, 12), True, [0.6, 0.1, -0.4], 0.1),
    case("arma, gaps", holes(arma21, some), (2, 0, 1), NONE, True, [0.45, 0.25, 0.35], 9.5),
    case("arima, gaps", holes(arima111, some), (1, 1, 1), NONE, False, [0.5, -0.2], 0.0),
    case("trend, gaps", holes(trend, some[:14]), (1, 1, 1), NONE, True, [0.4, -0.6], 0.3),
    case("twice integrated, gaps", holes(twice, [1] + some), (1, 2, 1), NONE, False, [0.2, -0.3], 0.0),
    case("seasonal, gaps", holes(season, some), (1, 0, 1), (0, 1, 1, 12), False, [0.5, 0.2, -0.4], 0.0),
    case("gap at the end", holes(arima111, [155, 156, 157, 158, 159]), (1, 1, 1), NONE, False, [0.5, -0.2], 0.0),
]

if __name__ == "__main__":
    with open("arima.json", "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(c) for c in CASES) + "\n]\n")
