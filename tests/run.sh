#!/usr/bin/env bash
# The one test command: installs what is missing, then checks everything the project promises.
#
#   tests/run.sh           everything
#   tests/run.sh --quick   formatting, clippy and the tests
#
# Works as root and as a user with sudo, on a new machine and again on the same one. Every test
# and every other check counts as one in the closing line, `N passed, N failed`; the exit status
# is 0 only when nothing failed. What cannot run here is named, with the reason, and not counted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:$HOME/.cargo/bin:/usr/sbin" CARGO_TERM_COLOR=never

quick=false
case "${1-}" in
  "") ;;
  --quick) quick=true ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
passed=0 failed=0 summary=()

die() { printf 'tests/run.sh: %s\n' "$*" >&2 && exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Sum of column $1 (passed, failed) over libtest's "test result:" lines in a log.
tally() { sed -nE "s/^.*test result: .* ([0-9]+) $1;.*$/\1/p" "$2" | awk '{ n += $1 } END { print n + 0 }'; }

# step NAME COMMAND...: runs, times and counts one step; a failure does not end the run.
step() {
  local name=$1 log=$logs/$1 start=$SECONDS status=0 good bad
  shift
  printf '\n==> %s: %s\n' "$name" "$*"
  "$@" 2>&1 | tee "$log" || status=$?
  good=$(tally passed "$log") bad=$(tally failed "$log")
  # A step without tests is one check; one that broke before or after its tests is a failure too.
  if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  if [ "$status" = 0 ] && [ "$good" = 0 ]; then good=1; fi
  passed=$((passed + good)) failed=$((failed + bad))
  summary+=("$(printf '%-12s %5d passed %3d failed %5d s' "$name" "$good" "$bad" $((SECONDS - start)))")
}

left_out() { summary+=("$(printf '%-12s left out: %s' "$1" "$2")"); }

install_packages() {
  local missing=() tool
  for tool in cc:build-essential curl:curl nginx:nginx; do
    have "${tool%%:*}" || missing+=("${tool#*:}")
  done
  [ "${#missing[@]}" = 0 ] && return
  have apt-get || die "needs ${missing[*]}, and there is no apt-get to install them with"
  as_root apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    ca-certificates "${missing[@]}"
}

install_rust() {
  if ! have cargo; then
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
  fi
  cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
  cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
  $quick || have cargo-hack || cargo install --locked cargo-hack
}

install_miri() {
  cargo +nightly miri --version || {
    rustup toolchain install nightly --profile minimal --component miri,rust-src
    cargo +nightly miri --version
  }
}

install_fuzz() {
  cargo fuzz --version || cargo install --locked cargo-fuzz
}

# A real documentation tree for the gateway to serve: some 3,900 files of CMake's manual. Unpacked
# rather than installed, because container images tell dpkg to leave /usr/share/doc out.
unpack_documentation() {
  local target tree work
  target=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
  tree=$target/tmp/documentation
  [ -e "$tree" ] && return
  have apt-get || die "needs the Debian package cmake-doc unpacked into $tree"
  work=$tree.$$
  mkdir -p "$work"
  (cd "$work" && { apt-get download -q cmake-doc || { as_root apt-get update -q && apt-get download -q cmake-doc; }; })
  dpkg-deb -x "$work"/cmake-doc_*.deb "$work/unpacked"
  mv "$(find "$work/unpacked" -type d -name html | head -n 1)" "$tree"
  rm -rf "$work"
}

install_packages
install_rust
unpack_documentation

step fmt cargo fmt --all --check
step clippy cargo clippy --workspace --all-targets --all-features -- -D warnings
# The tests start the examples as processes.
step build cargo build --workspace --all-features --bins
step tests cargo test --workspace --all-features --no-fail-fast

if ! $quick; then
  step conformance tests/conformance/run.sh
  step docs env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps
  # --lib keeps development dependencies, and the features they switch on, out of the build.
  step features cargo hack clippy --each-feature --lib \
    -p cache-layer -p ratelimit-layer -p memguard-layer -- -D warnings
  # A workspace of its own; it measures, so here it has but to build.
  step peers cargo clippy --manifest-path tests/peers/Cargo.toml --all-targets --locked -- -D warnings
  # Another one; without a sanitizer no nightly compiler is needed.
  if install_fuzz >/dev/null 2>&1; then
    step fuzz-clippy env RUSTFLAGS="--cfg fuzzing" \
      cargo clippy --manifest-path cache-layer/fuzz/Cargo.toml --all-targets --locked -- -D warnings
    step fuzz cache-layer/fuzz/run.sh -max_total_time=30
  else
    left_out fuzz "no cargo-fuzz here, and none could be installed"
  fi
  # The loom models are ordinary tests and have run; Miri needs a nightly compiler.
  if install_miri >/dev/null 2>&1; then
    step miri cargo +nightly miri test -p memguard-layer --lib heap::
  else
    left_out miri "no nightly toolchain with Miri here, and none could be installed"
  fi
fi

printf '\n'
printf '%s\n' "${summary[@]}"
printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
