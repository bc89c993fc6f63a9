#!/usr/bin/env bash
# Times a cold release build: everything from source into an empty target directory, two jobs.
#
#   bench/build.sh
#
# Sources must be there already (cargo fetch): the network is not what is timed. Prints one line: seconds, and the size
# of the binary.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fetch --quiet --locked
target=$(mktemp -d)
trap 'rm -rf "$target"' EXIT
SECONDS=0
CARGO_TARGET_DIR=$target CARGO_INCREMENTAL=0 cargo build --quiet --locked --release --jobs 2
took=$SECONDS
echo "cold release build, 2 jobs: ${took} s, binary $(du -h --apparent-size "$target/release/evenkeel" | cut -f1)"
