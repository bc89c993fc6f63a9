#!/usr/bin/env bash
# Runs the demonstration again and again and counts what its clients felt of the failovers.
#
#   bench/demo.sh [runs] [clients]      default: 20 runs with 64 clients each
#
# Prints a line per run, then the requests that failed in all runs, the median and the worst of the longest gap of
# a client, and the lead times; last one line of JSON with all of it. Exits 1 if a run fell short of anything: a
# request that failed, a limit that was crossed, a primary that was not put back.
#
# Every run has a seed of its own (its number), so the drift is another one each time, and the same in every bench.
#
# Environment: EVENKEEL_BIN (a built evenkeel; default: build the release), CARGO_TARGET_DIR.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${1:-20}
clients=${2:-64}

command -v jq >/dev/null || { apt-get update -qq && apt-get install -y -qq jq >/dev/null; } || {
  echo "bench/demo.sh: jq is not installed and could not be; install it (as root: apt-get install jq)" >&2
  exit 1
}
if [ -z "${EVENKEEL_BIN:-}" ]; then
  cargo build --release --bin evenkeel
  EVENKEEL_BIN=${CARGO_TARGET_DIR:-target}/release/evenkeel
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/summaries"
short=0

printf '%4s %9s %7s %8s %8s %11s %7s\n' run requests failed gap_ms lead_s activate_ms took_s
for run in $(seq "$runs"); do
  # A run that fell short ends with 1 and still has its summary; one that broke off has none.
  "$EVENKEEL_BIN" demo --json --quiet --clients "$clients" --seed "$run" >"$work/out" 2>"$work/err" || short=$((short + 1))
  if ! tail -n 1 "$work/out" | jq -ec 'select(has("requests_total"))' >"$work/summary" 2>/dev/null; then
    printf '%4s broke off: %s\n' "$run" "$(tail -n 1 "$work/err")"
    continue
  fi
  jq -r --arg run "$run" \
    '[$run, .requests_total, .requests_failed, .longest_client_gap_ms, .lead_time_s, .activation_ms // "-", .took_s] | @tsv' \
    "$work/summary" | while IFS=$'\t' read -r number total failed gap lead activate took; do
    printf '%4s %9s %7s %8s %8.1f %11s %7.1f\n' "$number" "$total" "$failed" "$gap" "$lead" "$activate" "$took"
  done
  cat "$work/summary" >>"$work/summaries"
  # What it fell short of, if it did.
  cat "$work/err" >&2
done

jq -sc --argjson asked "$runs" --argjson clients "$clients" --argjson short "$short" '
  def median: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor]
    else (.[length / 2 - 1] + .[length / 2]) / 2 end;
  {
    runs: $asked, runs_fallen_short: $short, clients: $clients,
    requests_total: (map(.requests_total) | add // 0),
    requests_failed: (map(.requests_failed) | add // 0),
    longest_gap_ms: { median: (map(.longest_client_gap_ms) | median), worst: (map(.longest_client_gap_ms) | max) },
    lead_time_s: { least: (map(.lead_time_s) | min), median: (map(.lead_time_s) | median) },
    activation_ms: { median: (map(.activation_ms) | map(values) | median) },
    limits_crossed: (map(select(.limit_crossed_by_active)) | length)
  }' "$work/summaries" >"$work/total"

echo
jq -r '
  "requests failed   \(.requests_failed) of \(.requests_total) in \(.runs) runs with \(.clients) clients",
  "longest gap       median \(.longest_gap_ms.median) ms, worst \(.longest_gap_ms.worst) ms",
  "lead time         median \(.lead_time_s.median) s, least \(.lead_time_s.least) s",
  "limits crossed    \(.limits_crossed)",
  "runs fallen short \(.runs_fallen_short)"' "$work/total"
cat "$work/total"
[ "$short" = 0 ]
