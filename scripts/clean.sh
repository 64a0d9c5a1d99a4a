#!/usr/bin/env bash
# Removes what was built and what the quickstart left; ends a quickstart that KEEP=1 left running.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -x quickstart.d/stop ]; then quickstart.d/stop; fi
rm -rf quickstart.d
cargo clean
