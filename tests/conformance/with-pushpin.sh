#!/bin/sh
# Runs the kit against a Pushpin of its own (Debian package "pushpin", with condure and zurl).
#
# Usage: with-pushpin.sh [options of run.py]
#
# Ports can be chosen by the environment variables PROXY_PORT, PUBLISH_PORT and ORIGIN_PORT, and
# the Python interpreter by PYTHON. Everything listens on the loopback interface only.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
proxy_port=${PROXY_PORT:-27999}
publish_port=${PUBLISH_PORT:-27561}
origin_port=${ORIGIN_PORT:-27800}
sig_iss=conformance
sig_key=conformance-key-0123456789-0123456789

work=$(mktemp -d "${TMPDIR:-/tmp}/grip.XXXXXX")
mkdir "$work/run" "$work/log"

cat >"$work/routes" <<ROUTES
*,id=conformance 127.0.0.1:$origin_port,over_http
*,path_beg=/ready test
ROUTES

cat >"$work/pushpin.conf" <<CONFIG
[global]
include={libdir}/internal.conf
rundir=$work/run
ipc_prefix=p-
port_offset=0
stats_connection_ttl=120

[runner]
services=condure,zurl,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:$proxy_port
logdir=$work/log
log_level=2
client_buffer_size=8192
client_maxconn=5000
condure_bin=condure
zurl_bin=zurl

[proxy]
zurl_out_specs=ipc://{rundir}/{ipc_prefix}zurl-in
zurl_out_stream_specs=ipc://{rundir}/{ipc_prefix}zurl-in-stream
zurl_in_specs=ipc://{rundir}/{ipc_prefix}zurl-out
routesfile=routes
debug=false
auto_cross_origin=false
accept_x_forwarded_protocol=false
set_x_forwarded_protocol=proto-only
x_forwarded_for=
x_forwarded_for_trusted=
accept_pushpin_route=true
sig_iss=$sig_iss
sig_key=$sig_key
updates_check=off

[handler]
push_in_spec=ipc://{rundir}/push-in
push_in_sub_specs=ipc://{rundir}/push-sub
push_in_http_addr=127.0.0.1
push_in_http_port=$publish_port
command_spec=ipc://{rundir}/command
stats_spec=ipc://{rundir}/stats
message_rate=2500
message_hwm=25000
message_wait=5000
id_cache_ttl=60
connection_subscription_max=20
subscription_linger=60
stats_subscription_ttl=60
CONFIG

pushpin --config="$work/pushpin.conf" >"$work/log/runner.log" 2>&1 &
pushpin_pid=$!

stop() {
    kill "$pushpin_pid" 2>/dev/null || true
    wait "$pushpin_pid" 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

# Pushpin is ready when its processes have found each other, so that a request can be held. The
# built-in test handler answers such requests below /ready.
"$python" - "$proxy_port" <<'WAIT'
import http.client
import sys
import time

deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
    try:
        connection.request("GET", "/ready/stream")
        if connection.getresponse().status == 200:
            time.sleep(1)
            sys.exit()
    except OSError:
        pass
    time.sleep(0.1)
sys.exit("Pushpin does not get ready")
WAIT

status=0
cd "$here/../.."
"$python" -m tests.conformance.run \
    --proxy "http://127.0.0.1:$proxy_port" \
    --publish "http://127.0.0.1:$publish_port/publish/" \
    --origin-port "$origin_port" \
    --sig-iss "$sig_iss" \
    --sig-key "$sig_key" \
    "$@" || status=$?
exit "$status"
