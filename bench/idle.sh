#!/usr/bin/env bash
# What the daemon costs while nothing happens: CPU share and memory, watching 1,000 properties every 10 s.
#
#   bench/idle.sh [minutes]                default: 3
#
# The tree is generated: 20 files of 50 settings, cloned like any other resource. The first half minute (baseline, first
# full clone) is not counted. Prints one line.
#
# Environment: EVENKEEL_BIN (a built release binary; default: build it).
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=${1:-3}
if [ -z "${EVENKEEL_BIN:-}" ]; then
  cargo build --quiet --release
  target=$(cargo metadata --quiet --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
  EVENKEEL_BIN=$target/release/evenkeel
fi
work=$(mktemp -d)
pid=
finish() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

mkdir "$work/a"
for file in $(seq 20); do
  for setting in $(seq 50); do echo "setting_$setting = $((file * setting))"; done >"$work/a/part_$file.toml"
done
cat >"$work/evenkeel.toml" <<CONFIG
[daemon]
state_dir = "state"
socket = "socket"

[[resource]]
name = "settings"
files = { a = "a", b = "b" }
policy = { sample_every = "10s", settle = "10s" }
CONFIG

"$EVENKEEL_BIN" run --config "$work/evenkeel.toml" --log warn &
pid=$!
sleep 30
kill -0 "$pid" 2>/dev/null || { echo "bench/idle.sh: the daemon ended" >&2; exit 1; }
watched=$("$EVENKEEL_BIN" --socket "$work/socket" status settings --json | sed -n 's/^ *"properties": \([0-9]*\),.*/\1/p')

# User and system time so far, in clock ticks: fields 14 and 15, counted behind the name, which may have spaces.
ticks() { sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }'; }
before=$(ticks)
sleep $((minutes * 60))
after=$(ticks)
rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")
peak=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status")

awk -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" -v minutes="$minutes" -v rss="$rss" -v peak="$peak" -v n="$watched" 'BEGIN {
  printf "idle for %d min, %d properties at 10 s: CPU %.3f %% of one core, RSS %.1f MiB, peak %.1f MiB\n",
    minutes, n, 100 * ticks / hz / (60 * minutes), rss / 1024, peak / 1024
}'
