#!/usr/bin/env bash
# Builds the release programs and hands over to hsm-tests/src/bin/quickstart.rs. KEEP=1 leaves everything running.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "Building touchmarkd and touchmark (release; minutes the first time) ..."
cargo build --release --quiet -p touchmarkd -p touchmark --bins
cargo build --release --quiet -p hsm-tests --no-default-features --bin quickstart
if [ -x quickstart.d/stop ]; then quickstart.d/stop; fi
exec "${CARGO_TARGET_DIR:-target}/release/quickstart" "$PWD/quickstart.d"
