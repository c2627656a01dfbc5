"""What the commands of `host-sim` do: start, say where, wait, stop; or publish one message.

What a person is to read or paste goes to standard output, logs go to standard error.
"""

import argparse
import asyncio
import dataclasses
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from host_sim import logs
from host_sim.errors import ConfigError, HostSimError
from host_sim.running import run, unless_stopped
from host_sim.version import program

__all__ = ["COMMANDS"]

EXAMPLE = '{"items":[{"channel":"test","formats":{"http-stream":{"content":"hello\\n"}}}]}'


def _serve(arguments: argparse.Namespace) -> None:
    from host_sim.simulator import LOCAL_SIG_KEY, Simulator

    began = time.perf_counter()
    logs.install(json_lines=arguments.json, verbose=arguments.verbose)
    host, port = arguments.addr
    default = Path("fastly.toml")
    simulator = Simulator(
        arguments.wasm,
        manifest=arguments.config or (default if default.exists() else None),
        host=host,
        port=port,
        proxy_port=arguments.proxy_port,
        publish_port=arguments.publish_port,
        publish_key=arguments.publish_key,
        request_timeout_s=arguments.request_timeout,
        state=arguments.state,
        reuse=arguments.reuse,
        trap_unknown=arguments.unknown_import_behavior == "trap",
        sig_iss=arguments.sig_iss,
        fanout=arguments.fanout,
        fanout_publish=arguments.fanout_publish,
        sig_key=LOCAL_SIG_KEY if arguments.sig_key is None else _key(arguments.sig_key),
        pool=True,
        wait=False,
    )

    async def serve(stopping: asyncio.Event) -> None:
        await simulator.start()
        try:
            places = {
                "edge": simulator.url,
                "fanout": simulator.proxy_url,
                "publish": simulator.publish_url,
            }
            _announce(f"runs {arguments.wasm}", places, arguments.json)
            if not await unless_stopped(simulator.ready(), stopping):
                return
            took_s = time.perf_counter() - began
            compiled = "" if simulator.cached else f", of which {simulator.load_s:.1f} s compiling"
            _say(
                f"ready in {took_s:.1f} s{compiled}",
                {"event": "ready", "seconds": round(took_s, 3), "cached": simulator.cached},
                arguments.json,
            )
            await stopping.wait()
        finally:
            await simulator.stop()

    run(serve)


def _proxy(arguments: argparse.Namespace) -> None:
    from host_sim.fanout.routes import Route
    from host_sim.proxy import GripProxy
    from host_sim.pushpin.settings import Overrides, load_settings
    from host_sim.simulator import parse_key

    logs.install(json_lines=arguments.json, verbose=arguments.verbose)
    key = arguments.sig_key
    given = Overrides(
        routes=tuple(Route.parse(route) for route in arguments.route or ()),
        sig_iss=arguments.sig_iss,
        sig_key=None if key is None else parse_key(_key(key)),
        address=arguments.addr,
        publish_address=arguments.publish_addr,
        publish_key=arguments.publish_key,
        compression=arguments.compression,
    )
    settings, warning = load_settings(arguments.config, given)
    if warning is not None:
        logging.getLogger("host_sim.proxy").warning("%s", warning)
    before = ", ".join(f"{route.name}={route.url}" for route in settings.routes)

    async def serve(stopping: asyncio.Event) -> None:
        async with GripProxy(settings) as proxy:
            places = {
                "fanout": "http://{}:{}".format(*proxy.address),
                "publish": "http://{}:{}/publish/".format(*proxy.publish_address),
            }
            _announce(f"proxies {before}", places, arguments.json)
            _say("started", {"event": "started"}, arguments.json)  # the Fastly CLI waits for it
            await stopping.wait()

    run(serve)


def _publish(arguments: argparse.Namespace) -> None:
    from grip.errors import LocalProtocolError
    from grip.items import HttpStreamFormat, Item, encode_publish
    from grip.sse import format_event

    text = sys.stdin.read() if arguments.text == "-" else arguments.text
    try:
        item = Item.message(
            arguments.channel, text, newline=True, item_id=arguments.id, prev_id=arguments.prev_id
        )
        if arguments.formats:
            kept = arguments.formats
            item = dataclasses.replace(
                item,
                http_response=item.http_response if "http-response" in kept else None,
                http_stream=item.http_stream if "http-stream" in kept else None,
                ws_message=item.ws_message if "ws-message" in kept else None,
            )
        if arguments.sse and item.http_stream is not None:
            event = HttpStreamFormat(content=format_event(text))
            item = dataclasses.replace(item, http_stream=event)
        body = encode_publish([item])
    except LocalProtocolError as error:
        raise ConfigError(str(error)) from error
    print(_post(arguments.url, body, arguments.key), end="")


def _post(url: str, body: bytes, key: str | None) -> str:
    """POST a publish request and return what the endpoint says.

    Raises:
        HostSimError: the endpoint cannot be reached or refuses.
    """
    import http.client

    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or parts.hostname is None:
        raise ConfigError(f"expected an http or https URL, got {url!r}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=30)
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    try:
        connection.request("POST", parts.path or "/publish/", body, headers)
        response = connection.getresponse()
        said = response.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise HostSimError(f"cannot publish to {url}: {error}; is host-sim running?") from error
    finally:
        connection.close()
    if response.status != 200:
        raise HostSimError(f"{url} answered {response.status}: {said.strip()}")
    return said


def _key(text: str) -> str:
    """Return a key as given, or the contents of the PEM file it names."""
    path = Path(text)
    try:
        return path.read_text() if path.suffix == ".pem" else text
    except OSError as error:
        raise ConfigError(f"--sig-key: cannot read {text}: {error.strerror}") from error


def _announce(what: str, places: Mapping[str, str], as_json: bool) -> None:
    front = places.get("edge", places["fanout"])
    lines = [f"{program()} {what}"]
    lines += [f"  {name:<8} {url}" for name, url in places.items()]
    if "edge" in places:
        lines += [
            "",
            f"  listen   curl -N {front}/stream",
            f"  publish  curl -d '{EXAMPLE}' {places['publish']}",
        ]
    _say("\n".join([*lines, ""]), {"event": "listening", **places}, as_json)


def _say(text: str, entry: Mapping[str, object], as_json: bool) -> None:
    print(json.dumps(entry) if as_json else text, flush=True)


COMMANDS: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "serve": _serve,
    "proxy": _proxy,
    "publish": _publish,
}
