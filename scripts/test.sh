#!/usr/bin/env bash
# Builds the programs as they are shipped, runs every test of the workspace against them, and adds up.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

cargo build --workspace --bins || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
cargo test --workspace --no-fail-fast 2>&1 | tee "$out"
status=${PIPESTATUS[0]}

# Each test program closes with its own line; the last of them alone would say little.
awk '/^test result:/ { for (i = 2; i <= NF; i++) { if ($i == "passed;") p += $(i - 1); if ($i == "failed;") f += $(i - 1)
         if ($i == "ignored;") s += $(i - 1) } }
     /^SKIPPED:/ { s++ }
     END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit p == 0 }' "$out" || exit 1
exit "$status"
