#!/usr/bin/env bash
# Forecasts against statsforecast: the same series, the same measures, one core, the same run.
#
#   bench/forecast.sh [--data DIR] [--m4 TRAIN TEST] [--nab DIR] [--series N] [--arima-series K] [--season A,B] [--stride N] [--refit N]
#
# --data          where m4/hourly-{train,test}.csv and nab/**/*.csv are     default: ../shared/data
# --m4            the two M4 files, instead of those below --data
# --nab           a directory with files of `timestamp,value`, below it     default: nab below --data; `none` leaves this part out
# --series        how many of the M4 series, spread evenly over the file    default: 50
# --arima-series  on how many of these, spread again, statsforecast's AutoARIMA runs; it takes half a minute each; 0 leaves it out    default: 6
# --season        the seasons of the M4 series; the first scales            default: 24,168
# --stride, --refit   rolling: steps between forecasts, forecasts between fits    default: 4, 100
#
# Two parts, each with one table: the fixed split of M4 Hourly (accuracy, intervals, seconds), and rolling forecasts of 1 to 12 steps on
# NAB (coverage of 90 % and 99 %, in all and in each quarter of each series; pinball loss). Seconds are processor time.
#
# The first run makes a virtual environment with statsforecast and pandas from PyPI in bench/.venv. On Debian this needs
# python3-venv: installed here for root, else said.
#
# Environment: EVENKEEL_BIN (a built release binary; default: build it), EVENKEEL_PYTHON (a Python that has statsforecast; default: make one),
# EVENKEEL_RESULTS (a directory to keep the JSON documents in).
set -euo pipefail
cd "$(dirname "$0")/.."

data=../shared/data m4=() nab= series=50 arima=6 season=24,168 stride=4 refit=100
usage() { sed -n '2,/^set -/{s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --m4) [ $# -ge 3 ] || usage; m4=("$2" "$3"); shift 3; continue ;;
    --help | -h) usage ;;
  esac
  [ $# -ge 2 ] || usage
  case $1 in
    --data) data=$2 ;;
    --nab) nab=$2 ;;
    --series) series=$2 ;;
    --arima-series) arima=$2 ;;
    --season) season=$2 ;;
    --stride) stride=$2 ;;
    --refit) refit=$2 ;;
    *) usage ;;
  esac
  shift 2
done
[ ${#m4[@]} -gt 0 ] || m4=("$data/m4/hourly-train.csv" "$data/m4/hourly-test.csv")
[ -n "$nab" ] || nab=$data/nab
for file in "${m4[@]}"; do
  [ -r "$file" ] || { echo "bench/forecast.sh: no $file: say --data DIR or --m4 TRAIN TEST" >&2; exit 2; }
done

if [ -z "${EVENKEEL_BIN:-}" ]; then
  cargo build --quiet --release
  target=$(cargo metadata --quiet --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
  EVENKEEL_BIN=$target/release/evenkeel
fi

if [ -z "${EVENKEEL_PYTHON:-}" ]; then
  venv=bench/.venv
  if ! [ -x "$venv/bin/pip" ] && ! python3 -m venv "$venv" 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      apt-get install --yes --quiet python3-venv >/dev/null
      python3 -m venv "$venv"
    else
      echo "bench/forecast.sh: python3 -m venv does not work; on Debian: apt-get install python3-venv" >&2
      exit 1
    fi
  fi
  "$venv/bin/python" -c 'import statsforecast, pandas' 2>/dev/null ||
    "$venv/bin/pip" install --quiet statsforecast pandas
  EVENKEEL_PYTHON=$venv/bin/python
fi

# One core for both, and no thread of a library beside.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
one_core() { if command -v taskset >/dev/null; then taskset -c "$(taskset -cp $$ | sed 's/.*: *\([0-9]*\).*/\1/')" "$@"; else "$@"; fi; }

if [ -n "${EVENKEEL_RESULTS:-}" ]; then
  work=$EVENKEEL_RESULTS
  mkdir -p "$work"
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi

options=()
for one in ${season//,/ }; do options+=(--season "$one"); done
"$EVENKEEL_PYTHON" bench/forecast/m4.py names "${m4[@]}" --series "$series" >"$work/names"
while IFS= read -r name; do options+=("--series=$name"); done <"$work/names"
one_core "$EVENKEEL_BIN" backtest --m4 "${m4[@]}" "${options[@]}" --json --each >"$work/m4-ours.json"
one_core "$EVENKEEL_PYTHON" bench/forecast/m4.py run "${m4[@]}" --series "$series" --arima-series "$arima" --season "$season" \
  >"$work/m4-theirs.json"
"$EVENKEEL_PYTHON" bench/forecast/report.py m4 "$work/m4-ours.json" "$work/m4-theirs.json"

[ "$nab" != none ] || exit 0
if ! [ -d "$nab" ]; then
  echo "no rolling part: no directory $nab (--nab DIR)" >&2
  exit 0
fi
mapfile -t files < <(find "$nab" -name '*.csv' | LC_ALL=C sort)
one_core "$EVENKEEL_BIN" backtest --csv "${files[@]}" --horizon 12 --warm-up 500 --stride "$stride" --refit "$refit" \
  --levels 0.90,0.99 --json --each >"$work/nab-ours.json"
one_core "$EVENKEEL_PYTHON" bench/forecast/nab.py "$work/nab-ours.json" "${files[@]}" >"$work/nab-theirs.json"
"$EVENKEEL_PYTHON" bench/forecast/report.py nab "$work/nab-ours.json" "$work/nab-theirs.json"
