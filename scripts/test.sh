#!/usr/bin/env bash
# Builds the programs as they are shipped, runs tests against them, and adds up.
# Usage: scripts/test.sh [what `cargo test` shall run, by its own options; without: every test of the workspace]
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

# Apart from the rest and kept apart: `cargo test` builds the daemon again with what only its own tests may use.
cargo build -p touchmarkd -p touchmark --bins || exit 1
built=${CARGO_TARGET_DIR:-target}
export TOUCHMARK_BIN_DIR
TOUCHMARK_BIN_DIR=$(realpath "$built")/shipped
mkdir -p "$TOUCHMARK_BIN_DIR"
cp "$built/debug/touchmarkd" "$built/debug/touchmark" "$TOUCHMARK_BIN_DIR/" || exit 1

out=$(mktemp)
trap 'rm -f "$out"' EXIT
[ $# -gt 0 ] || set -- --workspace
cargo test --no-fail-fast "$@" 2>&1 | tee "$out"
status=${PIPESTATUS[0]}

# Each test program closes with a line of its own; the last of them alone would say little.
awk '/^test result:/ {
         for (i = 2; i <= NF; i++) {
             if ($i == "passed;") passed += $(i - 1)
             if ($i == "failed;") failed += $(i - 1)
             if ($i == "ignored;") skipped += $(i - 1)
         }
     }
     /^SKIPPED:/ { skipped++ }
     END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit passed == 0 }' "$out" || exit 1
exit "$status"
