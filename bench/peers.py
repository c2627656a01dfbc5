"""The programs that are measured: how each is started, and on which ports it listens."""

import dataclasses
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ARTIFACT = ROOT / "bin" / "main.wasm"
ORIGIN_PORT = 21900


@dataclasses.dataclass(frozen=True)
class Peer:
    """A GRIP proxy in front of the origin on `ORIGIN_PORT`, or an edge with the artifact."""

    name: str
    command: list[str]
    port: int
    publish_port: int
    available: Callable[[], bool] = lambda: True


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
    ),
]

LOCAL_KEY = "viceroy_dev_signing_key_dont_use_in_production"

EDGES: list[tuple[Peer, list[str] | None]] = [
    (
        Peer(
            "host-sim serve",
            ours(
                *("serve", str(ARTIFACT), "-C", str(ROOT / "fastly.toml"), "--proxy-port", "0"),
                *("--addr", "127.0.0.1:21711", "--publish-port", "21511"),
            ),
            21711,
            21511,
        ),
        None,
    ),
    (
        Peer(
            "Viceroy + Pushpin",
            [
                *("viceroy", "serve", str(ARTIFACT), "-C", str(ROOT / "fastly.toml")),
                *("--addr", "127.0.0.1:21712", "--local-pushpin-proxy-port", "21713"),
            ],
            21712,
            21512,
            lambda: shutil.which("viceroy") is not None and shutil.which("pushpin") is not None,
        ),
        [
            *(sys.executable, "-m", "bench.pushpin", "--port", "21713", "--publish-port", "21512"),
            *("--origin-port", "21712", "--sig-iss", "viceroy", "--sig-key", LOCAL_KEY),
        ],
    ),
]
"""Edges with the artifact, each with the command of the proxy it needs beside it."""
