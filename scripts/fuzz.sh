#!/usr/bin/env bash
# Builds the fuzz targets with stable Rust and libFuzzer, runs each for FUZZ_SECONDS (600), two at a time, and keeps in
# fuzz/corpus what reaches new code that fuzz/seeds (made by hand) do not, as few inputs as do. An input that breaks a
# promise is left in fuzz/artifacts, and the end is 1. Usage: scripts/fuzz.sh [TARGET...; without: all]
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
seconds=${FUZZ_SECONDS:-600} timeout=${FUZZ_TIMEOUT:-10} # of one input; more on a busy machine
most_files=300 most_bytes=400000 # of each corpus that is kept

[ $# -gt 0 ] || set -- $(cd fuzz/bin && printf '%s\n' *.rs | sed 's/\.rs$//')
host=$(rustc -vV | sed -n 's/^host: //p')
built=$(realpath -m "${CARGO_TARGET_DIR:-target}/fuzz")
mkdir -p "$built/logs" fuzz/artifacts

# What `cargo fuzz` does on a nightly toolchain, less the sanitizer: counters at every edge, comparisons shown to the
# fuzzer.
flags='-Cpasses=sancov-module'
for one in level=4 inline-8bit-counters pc-table trace-compares; do flags+=" -Cllvm-args=-sanitizer-coverage-$one"; done
RUSTFLAGS=$flags cargo build --profile fuzz -p touchmark-fuzz --features libfuzzer --bins \
    --target "$host" --target-dir "$built" || exit 1

run() { # TARGET: looks for inputs, then keeps the few that reach all the code that any of them reached
    local program="$built/$host/fuzz/$1" kept="fuzz/corpus/$1" found="$built/corpus/$1" status=0 line
    local seeds="$built/seeds/$1" # a copy, or an empty folder
    rm -rf "$seeds" && mkdir -p "$kept" "$found" "$built/merged" "$seeds"
    [ ! -d "fuzz/seeds/$1" ] || cp "fuzz/seeds/$1"/* "$seeds"/
    "$program" "$found" "$kept" "$seeds" -max_total_time="$seconds" -timeout="$timeout" -rss_limit_mb=1024 -max_len=8192 \
        -use_value_profile=1 -artifact_prefix="fuzz/artifacts/$1-" -print_final_stats=1 \
        >"$built/logs/$1.log" 2>&1 || status=$?
    local merged="$built/merged/$1"
    rm -rf "$merged" && cp -r "$seeds" "$merged"
    # By edges alone: how often each was passed makes a corpus ten times as large.
    if "$program" -merge=1 -use_counters=0 -max_len=8192 -artifact_prefix="fuzz/artifacts/$1-" "$merged" "$kept" "$found" \
        >"$built/logs/$1.merge.log" 2>&1; then
        (cd "$seeds" && find . -type f) | (cd "$merged" && xargs -r rm -f)
        trim "$merged"
        find "$kept" -type f -delete
        find "$merged" -type f -exec cp -t "$kept" {} +
    fi
    line=$(grep -E '^#[0-9]+.*(DONE|pulse|REDUCE|NEW|RELOAD|INITED)' "$built/logs/$1.log" | tail -1)
    printf '%-11s %s; kept %s files, %s bytes; end %s\n' "$1" "$line" \
        "$(find "$kept" -type f | wc -l)" "$(cat "$kept"/* | wc -c)" "$status"
    return "$status"
}

trim() { # FOLDER: lets the smallest inputs go, which hardly get anywhere, until the rest may be kept
    find "$1" -type f -printf "%s %p\n" | sort -rn | awk -v files="$most_files" -v bytes="$most_bytes" \
        '{ sum += $1; if (NR > files || sum > bytes) print $2 }' | xargs -r rm -f
}

rm -f "$built/failed"
for target in "$@"; do
    if [ "$(jobs -rp | wc -l)" -ge 2 ]; then wait -n; fi
    run "$target" || touch "$built/failed" &
done
wait
ls fuzz/artifacts
[ ! -e "$built/failed" ]
