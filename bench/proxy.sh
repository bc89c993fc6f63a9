#!/usr/bin/env bash
# Measures the built-in proxy against HAProxy in TCP mode: same machine, same backend, same load, taking turns.
#
#   bench/proxy.sh [rounds] [seconds]      default: 5 rounds of 4 seconds each
#
# Prints requests/s and p99 of every round, the medians, and the median over the rounds of the ratio, ours to
# HAProxy's. The aims are >= 0.8 for requests/s and <= 1.3 for p99. Load generator, backend and proxy share the machine's cores:
# the numbers compare two proxies, they are not what either can do alone. CPU per request (of the proxy's process,
# user and system) is the steadiest of them on a busy machine.
#
# Environment: LOAD_BIN (a built evenkeel-load; default: build it), CARGO_TARGET_DIR, BASE_PORT (default 28080).
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${1:-5}
seconds=${2:-4}
base_port=${BASE_PORT:-28080}
backend_port=$base_port
haproxy_port=$((base_port + 1))
ours_port=$((base_port + 2))
connections=64
work=$(mktemp -d)
started=()

finish() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

for tool in jq haproxy; do
  command -v "$tool" >/dev/null && continue
  if [ "$(id -u)" != 0 ]; then
    echo "bench/proxy.sh: $tool is not installed; install it (apt-get install $tool)" >&2
    exit 1
  fi
  # Installing must not start a service that takes ports.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$tool" >"$work/apt.log" 2>&1 || {
    tail -5 "$work/apt.log" >&2
    exit 1
  }
done

if [ -z "${LOAD_BIN:-}" ]; then
  cargo build --release -p evenkeel-load
  LOAD_BIN=${CARGO_TARGET_DIR:-target}/release/evenkeel-load
fi

cat >"$work/haproxy.cfg" <<CFG
global
    nbthread 2
    maxconn 4000
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen bench
    bind 127.0.0.1:$haproxy_port backlog 4096
    server a 127.0.0.1:$backend_port
CFG

"$LOAD_BIN" backend --listen "127.0.0.1:$backend_port" &
backend_pid=$!
haproxy -db -f "$work/haproxy.cfg" &
haproxy_pid=$!
"$LOAD_BIN" proxy --listen "127.0.0.1:$ours_port" --target "127.0.0.1:$backend_port" &
ours_pid=$!
started=("$backend_pid" "$haproxy_pid" "$ours_pid")

for port in "$backend_port" "$haproxy_port" "$ours_port"; do
  for attempt in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    if [ "$attempt" = 100 ]; then
      echo "bench/proxy.sh: nothing listens on 127.0.0.1:$port after 10 s" >&2
      exit 1
    fi
    sleep 0.1
  done
done

cpu_ticks() { # pid
  awk '{ print $14 + $15 }' "/proc/$1/stat"
}

measure() { # name pid port mode
  local before after
  before=$(cpu_ticks "$2")
  "$LOAD_BIN" run --url "http://127.0.0.1:$3/" --connections "$connections" \
    --seconds "$seconds" --mode "$4" --json >"$work/last"
  after=$(cpu_ticks "$2")
  jq -c --argjson ticks $((after - before)) --argjson hertz "$(getconf CLK_TCK)" \
    '. + {cpu_us: ($ticks * 1000000 / $hertz / .requests)}' "$work/last" >>"$work/$1.$4"
  tail -1 "$work/$1.$4" | jq -r --arg name "$1" --arg mode "$4" \
    '"\($mode)\t\($name)\t\(.requests_per_second | round) req/s\tp50 \(.p50_us) us\tp99 \(.p99_us) us\tCPU \(.cpu_us * 10 | round / 10) us/req\tfailed \(.failed)"'
}

median() { # name mode field
  jq -s "map(.$3) | sort | .[length / 2 | floor] | round" "$work/$1.$2"
}

# The median over the rounds of ours / haproxy: the two of one round met the same noise of the machine.
ratio() { # mode field
  jq -n --slurpfile ours "$work/ours.$1" --slurpfile haproxy "$work/haproxy.$1" \
    "[range(\$ours | length) | \$ours[.].$2 / \$haproxy[.].$2] | sort | .[length / 2 | floor] * 100 | round / 100"
}

echo "cores $(nproc), $(haproxy -v | head -1), $connections connections, $rounds rounds of $seconds s"
for mode in keepalive new; do
  for round in $(seq "$rounds"); do
    # Who goes first changes from round to round, so that neither always meets the warmer machine.
    if [ $((round % 2)) = 1 ]; then
      measure haproxy "$haproxy_pid" "$haproxy_port" "$mode"
      measure ours "$ours_pid" "$ours_port" "$mode"
    else
      measure ours "$ours_pid" "$ours_port" "$mode"
      measure haproxy "$haproxy_pid" "$haproxy_port" "$mode"
    fi
  done
  measure direct "$backend_pid" "$backend_port" "$mode"
done

for mode in keepalive new; do
  echo "$mode: requests/s $(median ours $mode requests_per_second) against" \
    "$(median haproxy $mode requests_per_second), ratio $(ratio $mode requests_per_second) (aim >= 0.8);" \
    "p99 $(median ours $mode p99_us) us against $(median haproxy $mode p99_us) us," \
    "ratio $(ratio $mode p99_us) (aim <= 1.3); CPU per request ratio $(ratio $mode cpu_us)"
done
