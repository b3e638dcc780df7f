#!/usr/bin/env bash
# Server CPU for one cached hit of 1 KiB through hyper-gateway, beside nginx's and Varnish's, each as
# a multiple of a bare hyper server's that answers everything with the gateway's own fields and body.
#
#   tests/peers/gateway.sh [ROUNDS] [SECONDS] [CONNECTIONS]       default: 9 rounds of 3 s, 16
#
# Needs nginx, varnishd, wrk and curl. All servers are alike in what they may use: one worker (one
# tokio thread, one nginx process, one Varnish thread pool), HTTP/1.1 kept alive for ever over
# loopback, no access log. They take turns; CPU is utime and stime of all processes of a server over
# its turn, by the requests that wrk counted. The upstream is gone by then: every answer is a hit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export PATH="$PATH:/usr/sbin" TOKIO_WORKER_THREADS=1
rounds=${1:-9} seconds=${2:-3} connections=${3:-16}

work=$(mktemp -d)
declare -A pid=() url=()
finish() {
  [ "${#pid[@]}" = 0 ] || kill "${pid[@]}"
  wait
  rm -rf "$work"
}
trap finish EXIT

die() { printf 'gateway.sh: %s\n' "$*" >&2 && exit 1; }
for tool in nginx varnishd wrk curl; do
  command -v "$tool" >/dev/null || die "needs $tool"
done

# start NAME COMMAND...: runs it in the background; its process is ${pid[NAME]}.
start() {
  local name=$1
  shift
  : >"$work/$name.log"
  "$@" >>"$work/$name.log" 2>&1 &
  pid[$name]=$!
}

# The port that a server has printed.
printed() {
  local port
  for _ in $(seq 100); do
    port=$(sed -nE 's/^[a-z-]+ on http:\/\/127\.0\.0\.1:([0-9]+).*/\1/p' "$work/$1.log")
    [ -n "$port" ] && echo "$port" && return
    sleep 0.05
  done
  die "$1 does not listen: $(cat "$work/$1.log")"
}

# For servers that do not take port 0.
free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)); (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

answers() {
  for _ in $(seq 100); do
    curl -sf -o "$work/$1.body" "${url[$1]}" && return
    sleep 0.05
  done
  die "$1 does not answer: $(cat "$work/$1.log")"
}

# Clock ticks of a server's processes so far.
ticks() {
  local parent=${pid[$1]} process
  for process in $parent $(cat "/proc/$parent/task/$parent/children"); do
    # Behind the name, which may hold anything: utime and stime are fields 14 and 15.
    sed 's/.*) //' "/proc/$process/stat"
  done | awk '{ ticks += $12 + $13 } END { print ticks }'
}

cargo build -q --profile dist
cargo build -q --profile dist --manifest-path ../../Cargo.toml -p hyper-gateway

printf '%s\r\n' 'HTTP/1.1 200 OK' 'content-type: application/json' \
  'cache-control: public, max-age=86400' 'etag: "0123456789abcdef"' 'content-length: 1024' '' >"$work/answer"
head -c 1024 /dev/zero | tr '\0' x >>"$work/answer"
start upstream target/dist/bare "$work/answer"
upstream=127.0.0.1:$(printed upstream)

start gateway ../../target/dist/hyper-gateway --listen 127.0.0.1:0 --upstream "http://$upstream"
url[gateway]=http://127.0.0.1:$(printed gateway)/

port=$(free_port)
cat >"$work/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $work/nginx.pid; error_log stderr error;
events {}
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; open_file_cache max=1000;
  client_body_temp_path $work/body; proxy_temp_path $work/temp; fastcgi_temp_path $work/fastcgi;
  uwsgi_temp_path $work/uwsgi; scgi_temp_path $work/scgi;
  proxy_cache_path $work/cache keys_zone=hits:10m;
  server { listen 127.0.0.1:$port; location / { proxy_pass http://$upstream; proxy_cache hits; } }
}
CONF
# A worker of root's would be another user's, who may not enter the folder.
[ "$(id -u)" = 0 ] && sed -i '1s/^/user root; /' "$work/nginx.conf"
start nginx nginx -e stderr -p "$work" -c "$work/nginx.conf"
url[nginx]=http://127.0.0.1:$port/

port=$(free_port)
printf 'vcl 4.1; backend upstream { .host = "%s"; .port = "%s"; }\n' "${upstream%:*}" "${upstream#*:}" \
  >"$work/varnish.vcl"
start varnish varnishd -F -j none -n "$work/varnish" -f "$work/varnish.vcl" -a "127.0.0.1:$port" \
  -s malloc,64m -p thread_pools=1
url[varnish]=http://127.0.0.1:$port/

for server in gateway nginx varnish; do answers "$server"; done
curl -si "${url[gateway]}" >"$work/hit"
grep -qi '^cache-status: .*; hit' "$work/hit" || die "the gateway's answer is no hit: $(head "$work/hit")"
start bare target/dist/bare "$work/hit"
url[bare]=http://127.0.0.1:$(printed bare)/
answers bare
kill "${pid[upstream]}" && unset "pid[upstream]"

turn() {
  local before out requests
  before=$(ticks "$1")
  out=$(wrk -t1 -c"$connections" -d"${seconds}s" "${url[$1]}") || die "wrk: $out"
  ! grep -qE 'Non-2xx|Socket errors' <<<"$out" || die "$1: $out"
  requests=$(sed -nE 's/^ *([0-9]+) requests in .*/\1/p' <<<"$out")
  awk -v ticks=$(($(ticks "$1") - before)) -v hz="$(getconf CLK_TCK)" -v requests="$requests" \
    'BEGIN { printf "%.3f\n", ticks / hz / requests * 1e6 }'
}

servers=(bare gateway nginx varnish)
for server in "${servers[@]}"; do turn "$server" >/dev/null; done
for _ in $(seq "$rounds"); do
  for server in "${servers[@]}"; do
    cost=$(turn "$server")
    [ "$server" = bare ] && bare=$cost
    echo "$cost $(awk -v cost="$cost" -v bare="$bare" 'BEGIN { print cost / bare }')" >>"$work/$server.costs"
  done
done

median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
echo "| $rounds rounds of $seconds s, $connections connections, medians | µs of CPU a request | of bare hyper's |"
echo "| --- | ---: | ---: |"
for server in "${servers[@]}"; do
  printf '| %s | %.2f | %.2f |\n' "$server" \
    "$(cut -d' ' -f1 "$work/$server.costs" | median)" "$(cut -d' ' -f2 "$work/$server.costs" | median)"
done
