#!/usr/bin/env bash
# Runs the fuzz targets two at a time, from their seeds and from what earlier runs have kept.
#
#   cache-layer/fuzz/run.sh [LIBFUZZER OPTION...]      default: -max_total_time=30
#
# Needs cargo-fuzz and a C++ compiler. SANITIZER=address needs a nightly toolchain too; without it
# there is none, as the crate has no unsafe code. New inputs that reach new code go to corpus/, which
# is nobody's but the machine's own. A finding is printed, and kept in artifacts/: once it is mended,
# it becomes a seed. The closing line counts targets as libtest counts tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
options=("${@:--max_total_time=30}")
sanitizer=${SANITIZER:-none}

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# What a target's log says of its finding, or of why it did not run.
explain() {
  local input
  input=$(sed -n 's/.*Test unit written to //p' "$1")
  if [ -f "$input" ]; then
    grep -a -m 1 -A 4 -E ' panicked at |ERROR: ' "$1"
    printf -- '--- %s:\n%s\n---\n' "$input" "$(cat -v "$input")"
    grep -a '^Base64: ' "$1"
  else
    tail -n 40 "$1"
  fi
}

# Each says its word in one piece, as another runs beside it.
fuzz() {
  local target=$1 log=$logs/$1
  mkdir -p "corpus/$target"
  if cargo fuzz run --fuzz-dir . --sanitizer "$sanitizer" "$target" "corpus/$target" "seeds/$target" -- \
    -dict="dictionaries/$target.txt" -max_len=400 -timeout=10 "${options[@]}" >"$log" 2>&1; then
    printf 'test %s ... ok: %s\n' "$target" "$(sed -n 's/^Done //p' "$log")"
  else
    touch "$log.failed"
    printf 'test %s ... FAILED\n%s\n' "$target" "$(explain "$log")"
  fi
}

cargo fuzz build --fuzz-dir . --sanitizer "$sanitizer"
mapfile -t targets < <(cargo fuzz list --fuzz-dir .)
for target in "${targets[@]}"; do
  [ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n
  fuzz "$target" &
done
wait

failed=$(find "$logs" -name '*.failed' | wc -l)
[ "$failed" = 0 ] && result=ok || result=FAILED
printf 'test result: %s. %d passed; %d failed; 0 ignored; 0 measured; 0 filtered out; finished in %d.00s\n' \
  "$result" $((${#targets[@]} - failed)) "$failed" "$SECONDS"
[ "$failed" = 0 ]
