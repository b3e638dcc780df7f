#!/usr/bin/env bash
# The public suite for HTTP caches (npm's http-cache-tests) against hyper-gateway.
#
#   tests/conformance/run.sh              the release in package.json, with the gateway's defaults and
#                                         with --set-cookie store; every test must end as
#                                         expectations.tsv says
#   tests/conformance/run.sh --suite DIR  another checkout of it, with its dependencies installed;
#                                         prints scores and expects nothing
#
# Takes free ports, and ends what it started. Installs node and npm if they are missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
here=$PWD
export PATH="$PATH:$HOME/.cargo/bin"

suite=
case "${1-}" in
  "") ;;
  --suite) suite=$(cd "${2:?a directory}" && pwd) ;;
  *) sed -n '2,10s/^# \{0,1\}//p' run.sh && exit 2 ;;
esac

work=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

die() { printf 'tests/conformance/run.sh: %s\n' "$*" >&2 && exit 1; }

install_node() {
  local as_root=
  [ "$(id -u)" = 0 ] || as_root=sudo
  command -v apt-get >/dev/null || die "needs node (18 or later) and npm"
  $as_root apt-get update -q
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends nodejs npm
}

# Into the target directory: nothing is installed between the sources.
install_suite() {
  local modules=$target/tmp/conformance
  suite=$modules/node_modules/http-cache-tests
  if ! cmp -s package-lock.json "$modules/package-lock.json" || [ ! -d "$suite" ]; then
    mkdir -p "$modules"
    cp -r .npmrc package.json unused "$modules"
    cp package-lock.json "$work"
    (cd "$modules" && cp "$work/package-lock.json" . && npm ci --no-audit --no-fund) || die "npm ci failed"
  fi
}

# address LOG PATTERN: what the process started last printed where PATTERN has its group.
address() {
  local found
  for _ in $(seq 300); do
    found=$(sed -nE "s#.*$2.*#\1#p" "$1" 2>/dev/null | head -n 1)
    [ -n "$found" ] && printf '%s' "$found" && return
    kill -0 "${pids[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  cat "$1" >&2
  return 1
}

# results NAME FLAG...: runs the suite's client through a gateway with these flags.
results() {
  local name=$1 gateway
  shift
  "$target/debug/hyper-gateway" --listen 127.0.0.1:0 --upstream "http://127.0.0.1:$origin" "$@" \
    >"$work/$name.log" 2>&1 &
  pids+=($!)
  gateway=$(address "$work/$name.log" '^hyper-gateway on (http:[^ ]*) to') || die "the gateway does not start"
  # The suite takes its settings from npm's variables; empty is all tests. The limit is far beyond
  # what it takes, for a gateway that hangs.
  (cd "$suite" && exec env -u npm_config_id npm_package_config_id= npm_config_base="$gateway" \
    timeout 300 node --no-warnings "$engine/cli.mjs") >"$work/$name.json" 2>"$work/$name.err" &
  pids+=($!)
  # In the background and waited for: so a signal ends this script at once.
  wait $! || { cat "$work/$name.err" >&2 && die "the suite's client failed"; }
}

command -v node >/dev/null && command -v npm >/dev/null || install_node
target=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
# As `tests/run.sh` builds the workspace: nothing is compiled twice.
cargo build --quiet --workspace --all-features --bin hyper-gateway
expectations=
[ -n "$suite" ] || { expectations=$here/expectations.tsv && install_suite; }
engine=.
# Newer checkouts keep client and server in a folder.
[ ! -d "$suite/test-engine" ] || engine=test-engine

(cd "$suite" && exec env npm_config_protocol=http npm_config_port=0 npm_config_pidfile=/dev/null \
  node "$engine/server/server.mjs") >"$work/origin.log" 2>&1 &
pids+=($!)
origin=$(address "$work/origin.log" '^Listening on .*:([0-9]+)/') || die "the suite's server does not start"

results default
results store --set-cookie store
node check.mjs "$suite" "$work" "$expectations" default store
