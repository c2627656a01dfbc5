"""Run a private Pushpin 1.36 on 127.0.0.1 for the benchmarks, in the foreground.

All its files (config, sockets, logs) live in a fresh temporary directory, all its
ports are given here, and it runs its own condure and zurl, so that it does not
disturb another Pushpin on the machine.  It stops on SIGINT or SIGTERM.

The packaged settings are kept, but for three things that a benchmark needs:
``--message-rate`` and ``--message-hwm`` (the packaged 2500 and 25000 are a cap on
deliveries per second and on deliveries queued), ``--maxconn`` (the file limit), and
``--log-level`` (the packaged level 2 logs a line for each publish and request).
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

PUSHPIN_CONF = """\
[global]
include={dir}/specs.conf
rundir={dir}/run
ipc_prefix=bench-
port_offset=0
stats_connection_ttl=120

[runner]
services=condure,zurl,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:{port}
logdir={dir}/log
log_level={log_level}
client_buffer_size=8192
client_maxconn={maxconn}
condure_bin=condure
zurl_bin=zurl

[proxy]
routesfile=routes
debug=false
auto_cross_origin=false
accept_x_forwarded_protocol=false
set_x_forwarded_protocol=proto-only
sig_iss={sig_iss}
sig_key={sig_key}
updates_check=off

[handler]
push_in_spec=ipc://{{rundir}}/{{ipc_prefix}}push-in
push_in_sub_specs=ipc://{{rundir}}/{{ipc_prefix}}push-in-sub
push_in_sub_connect=false
push_in_http_addr=127.0.0.1
push_in_http_port={publish_port}
push_in_http_max_headers_size=10000
push_in_http_max_body_size=1000000
stats_spec=ipc://{{rundir}}/{{ipc_prefix}}stats
command_spec=ipc://{{rundir}}/{{ipc_prefix}}command
message_rate={message_rate}
message_hwm={message_hwm}
message_wait=5000
id_cache_ttl=60
connection_subscription_max=20
subscription_linger=60
stats_subscription_ttl=60
stats_report_interval=10
stats_format=tnetstring
"""

SPECS_CONF = """\
[proxy]
condure_in_specs=ipc://{rundir}/{ipc_prefix}condure-out
condure_in_stream_specs=ipc://{rundir}/{ipc_prefix}condure-out-stream
condure_out_specs=ipc://{rundir}/{ipc_prefix}condure-in
m2a_in_specs=ipc://{rundir}/{ipc_prefix}m2zhttp-out,ipc://{rundir}/{ipc_prefix}m2zws-out
m2a_in_stream_specs=ipc://{rundir}/{ipc_prefix}m2zhttp-out-stream,ipc://{rundir}/{ipc_prefix}m2zws-out-stream
m2a_out_specs=ipc://{rundir}/{ipc_prefix}m2zhttp-in,ipc://{rundir}/{ipc_prefix}m2zws-in
zurl_out_specs=ipc://{rundir}/{ipc_prefix}zurl-in
zurl_out_stream_specs=ipc://{rundir}/{ipc_prefix}zurl-in-stream
zurl_in_specs=ipc://{rundir}/{ipc_prefix}zurl-out
handler_inspect_spec=ipc://{rundir}/{ipc_prefix}inspect
handler_accept_spec=ipc://{rundir}/{ipc_prefix}accept
handler_retry_in_spec=ipc://{rundir}/{ipc_prefix}retry
handler_ws_control_in_spec=ipc://{rundir}/{ipc_prefix}ws-control-in
handler_ws_control_out_spec=ipc://{rundir}/{ipc_prefix}ws-control-out
stats_spec=ipc://{rundir}/{ipc_prefix}proxy-stats
command_spec=ipc://{rundir}/{ipc_prefix}proxy-command
intreq_in_specs=ipc://{rundir}/{ipc_prefix}intreq-in
intreq_in_stream_specs=ipc://{rundir}/{ipc_prefix}intreq-in-stream
intreq_out_specs=ipc://{rundir}/{ipc_prefix}intreq-out

[handler]
proxy_inspect_spec=ipc://{rundir}/{ipc_prefix}inspect
proxy_accept_spec=ipc://{rundir}/{ipc_prefix}accept
proxy_retry_out_spec=ipc://{rundir}/{ipc_prefix}retry
proxy_ws_control_in_spec=ipc://{rundir}/{ipc_prefix}ws-control-out
proxy_ws_control_out_spec=ipc://{rundir}/{ipc_prefix}ws-control-in
proxy_stats_spec=ipc://{rundir}/{ipc_prefix}proxy-stats
proxy_command_spec=ipc://{rundir}/{ipc_prefix}proxy-command
condure_in_stream_specs=ipc://{rundir}/{ipc_prefix}condure-out-stream
condure_out_specs=ipc://{rundir}/{ipc_prefix}condure-in
m2a_in_stream_specs=ipc://{rundir}/{ipc_prefix}m2zhttp-out-stream,ipc://{rundir}/{ipc_prefix}m2zws-out-stream
m2a_out_specs=ipc://{rundir}/{ipc_prefix}m2zhttp-in,ipc://{rundir}/{ipc_prefix}m2zws-in
proxy_intreq_out_specs=ipc://{rundir}/{ipc_prefix}intreq-in
proxy_intreq_out_stream_specs=ipc://{rundir}/{ipc_prefix}intreq-in-stream
proxy_intreq_in_specs=ipc://{rundir}/{ipc_prefix}intreq-out
"""


def main() -> int:
    """Write the configuration, run Pushpin until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="client port")
    parser.add_argument("--publish-port", type=int, required=True)
    parser.add_argument("--origin-port", type=int, required=True)
    parser.add_argument("--message-rate", type=int, default=0, help="deliveries/s, 0: no cap")
    parser.add_argument("--message-hwm", type=int, default=0, help="deliveries queued, 0: no cap")
    parser.add_argument("--maxconn", type=int, default=12000)
    parser.add_argument("--log-level", type=int, default=1)
    parser.add_argument("--sig-iss", default="pushpin")
    parser.add_argument("--sig-key", default="changeme")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="bench-pushpin-") as name:
        directory = Path(name)
        (directory / "run").mkdir()
        configuration = PUSHPIN_CONF.format(dir=directory, **vars(arguments))
        (directory / "pushpin.conf").write_text(configuration)
        (directory / "specs.conf").write_text(SPECS_CONF)
        (directory / "routes").write_text(f"* 127.0.0.1:{arguments.origin_port},over_http\n")
        process = subprocess.Popen(
            ["pushpin", f"--config={directory / 'pushpin.conf'}"], stdout=sys.stderr
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: process.terminate())
        return process.wait()


if __name__ == "__main__":
    sys.exit(main())
