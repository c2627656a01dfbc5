"""The programs that are measured: how each is started, and on which ports it listens."""

import dataclasses
import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ARTIFACT = ROOT / "bin" / "main.wasm"
ORIGIN_PORT = 21900


@dataclasses.dataclass(frozen=True)
class Peer:
    """A GRIP proxy in front of the origin on `ORIGIN_PORT`, or an edge with the artifact.

    Attributes:
        settled_s: how long after its ports are bound it is to be left alone.
    """

    name: str
    command: list[str]
    port: int
    publish_port: int
    available: Callable[[], bool] = lambda: True
    settled_s: float = 0.0


def ours(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "host_sim", *arguments]


PROXIES = [
    Peer(
        "host-sim proxy",
        ours(
            *("proxy", "--addr", "127.0.0.1:21701", "--publish-addr", "127.0.0.1:21501"),
            *("--route", f"origin=http://127.0.0.1:{ORIGIN_PORT}"),
            *("--sig-iss", "bench", "--sig-key", "bench"),
        ),
        21701,
        21501,
    ),
    Peer(
        "Pushpin",
        [
            *(sys.executable, "-m", "bench.pushpin", "--port", "21702", "--publish-port", "21502"),
            *("--origin-port", str(ORIGIN_PORT)),
        ],
        21702,
        21502,
        lambda: shutil.which("pushpin") is not None,
        settled_s=1.0,  # its processes have to find each other
    ),
]


def limit(kind: str, name: str, port: int, publish_port: int, *, needs: str) -> Peer:
    command = [sys.executable, "-m", "bench.limits", kind, str(port), str(publish_port)]
    return Peer(
        name, command, port, publish_port, lambda: importlib.util.find_spec(needs) is not None
    )


LIMITS = [
    limit("aiohttp", "bare aiohttp", 21703, 21503, needs="aiohttp"),
    limit("write", "bare write", 21704, 21504, needs="uvloop"),
]
"""Servers that hold and deliver without GRIP; see `bench.limits`."""

LOCAL_KEY = "viceroy_dev_signing_key_dont_use_in_production"


@dataclasses.dataclass(frozen=True)
class Edge:
    """Something that runs a component, and the command of the proxy it needs beside it, if any."""

    peer: Peer
    proxy: list[str] | None = None


def host_sim(name: str, component: Path, port: int, *flags: str) -> Edge:
    manifest = ("-C", str(ROOT / "fastly.toml"))
    ports = ("--addr", f"127.0.0.1:{port}", "--proxy-port", "0", "--publish-port", "0")
    return Edge(Peer(name, ours("serve", str(component), *manifest, *ports, *flags), port, 0))


def viceroy(name: str, component: Path, port: int) -> Edge:
    """Return Viceroy on `port`; its Pushpin has the two ports after that."""
    proxy_port, publish_port = port + 1, port + 2
    command = [
        *("viceroy", "serve", str(component), "-C", str(ROOT / "fastly.toml")),
        *("--addr", f"127.0.0.1:{port}", "--local-pushpin-proxy-port", str(proxy_port)),
    ]
    pushpin = [
        *(sys.executable, "-m", "bench.pushpin", "--port", str(proxy_port)),
        *("--publish-port", str(publish_port), "--origin-port", str(port)),
        *("--sig-iss", "viceroy", "--sig-key", LOCAL_KEY),
    ]
    return Edge(Peer(name, command, port, publish_port, has_viceroy), pushpin)


def has_viceroy() -> bool:
    return shutil.which("viceroy") is not None and shutil.which("pushpin") is not None
