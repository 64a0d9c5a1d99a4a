#!/usr/bin/env bash
# Builds the release programs and measures them against their peers: hsm-tests/benches/speed/main.rs says how. The
# table goes to the terminal and, in Markdown, to target/bench.md.
# PARSEC=build builds parsec first (ten minutes, kept in target/parsec); PARSEC=FILE is a parsec that is there already.
# Usage: scripts/bench.sh [--only ROW]...
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
parsec=$target/parsec
if [ "${PARSEC:-}" = build ]; then
    scripts/install.sh parsec
    cargo install --quiet --locked --root "$parsec" --target-dir "$parsec/build" parsec-service --version 1.5.0 \
        --no-default-features --features pkcs11-provider,direct-authenticator,unix-peer-credentials-authenticator
fi
if [ -x "$parsec/bin/parsec" ]; then export PARSEC=$parsec/bin/parsec; fi
echo "Building touchmarkd, touchmark and the measurement (release; minutes the first time) ..."
cargo build --release --quiet -p touchmarkd -p touchmark --bins
cargo bench --quiet -p hsm-tests --no-default-features --features cards,documents,tables --bench speed -- \
    --out "$target/bench.md" "$@"
