#!/usr/bin/env bash
# When does Evenkeel act, and how often is it wrong? It and what people use now, on the same seeded drifts.
#
#   bench/decision.sh [--scenarios N] [--seed-offset K] [--families A,B] [--jobs J] [--data DIR] [--story FAMILY:SEED] [--json]
#
# --scenarios     how many, both halves together; rounded up to as many of each family    default: 2080
# --seed-offset   the first seed; other seeds are other scenarios of the same families     default: 0
# --families      only these; NAB is then scored no more than the families cut from it are made    default: all
# --jobs          threads    default: 2
# --data          where nab/**/*.csv and nab/combined_windows.json are    default: ../shared/data; without it that part is left out
# --story         no evaluation, but what Evenkeel decided on one scenario, decision by decision
# --json          print the JSON document instead of the tables
#
# Scenarios with an even seed are the training half, on which each alternative is tuned; every figure is of the other half. One table of
# all contenders, one by family, reliability of stated probabilities, the NAB score, and the aims as PASS or miss.
# docs/benchmarks.md has the definitions.
#
# Environment: EVENKEEL_RESULTS (a directory for tables, JSON document and plots; default: decision in the target directory).
set -euo pipefail
cd "$(dirname "$0")/.."

for option in "$@"; do
  case $option in
    --help | -h) sed -n '2,/^set -/{s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
  esac
done

cargo build --quiet --release --package evenkeel-decision
target=$(cargo metadata --quiet --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
results=${EVENKEEL_RESULTS:-$target/decision}
nice "$target/release/evenkeel-decision" --results "$results" "$@"
echo "tables, JSON document and plots are in $results" >&2
