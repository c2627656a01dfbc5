"""The manifest both hosts read: a store of every kind, and backends on the origins."""

import dataclasses
import json
from pathlib import Path

__all__ = ["Places", "write_manifest"]

MANIFEST = """
manifest_version = 3
name = "compared"

[local_server]
fake_valid_fastly_keys = ["good-key"]

[local_server.backends]
origin = {{ url = "http://127.0.0.1:{plain}" }}
based = {{ url = "http://127.0.0.1:{plain}/base/", override_host = "based.test" }}
healthy = {{ url = "http://127.0.0.1:{plain}", health = "healthy" }}
ill = {{ url = "http://127.0.0.1:{plain}", health = "Unhealthy" }}
named = {{ url = "http://localhost:{plain}" }}
hasty = {{ url = "http://127.0.0.1:{plain}", first_byte_timeout_ms = 200, \
between_bytes_timeout_ms = 200 }}
nobody = {{ url = "http://127.0.0.1:1" }}
unknown-host = {{ url = "http://nowhere.invalid" }}
default-port = {{ url = "http://origin.test" }}
secure = {{ url = "https://127.0.0.1:{secure}", cert_host = "origin.test", \
ca_certificate = {{ file = "ca.pem" }} }}
secure-no-sni = {{ url = "https://127.0.0.1:{secure}", cert_host = "origin.test", \
use_sni = false, ca_certificate = {{ file = "ca.pem" }} }}
secure-client = {{ url = "https://127.0.0.1:{secure}", cert_host = "origin.test", \
ca_certificate = {{ file = "ca.pem" }}, \
client_certificate = {{ certificate_file = "client.test.pem", key_file = "client.test.key" }} }}
secure-wrong-name = {{ url = "https://127.0.0.1:{secure}", cert_host = "other.test", \
ca_certificate = {{ file = "ca.pem" }} }}
secure-unknown-ca = {{ url = "https://127.0.0.1:{secure}", cert_host = "origin.test" }}
secure-to-plain = {{ url = "https://127.0.0.1:{plain}" }}

[local_server.config_stores.settings]
format = "inline-toml"
[local_server.config_stores.settings.contents]
greeting = "grüß"
empty = ""

[local_server.config_stores.file]
format = "json"
file = "settings.json"

[local_server.kv_stores]
things = [
    {{ key = "old", data = "value", metadata = "meta" }},
    {{ key = "plain", data = "" }},
    {{ key = "from-file", file = "value.txt" }},
]
nothing = []
file = {{ file = "kv.json", format = "json" }}

[local_server.secret_stores]
keys = [
    {{ key = "hmac", data = "secret" }},
    {{ key = "from-file", file = "value.txt" }},
    {{ key = "unset", env = "NOBODY_SETS_THIS" }},
]

[local_server.acls]
block = "acl.json"

[local_server.geolocation]
format = "inline-toml"
[local_server.geolocation.addresses."192.0.2.7"]
city = "Testville"
latitude = 1.5

[local_server.device_detection]
format = "inline-toml"
[local_server.device_detection.user_agents."probe/1"]
brand = "Probe"
[local_server.device_detection.user_agents."probe/1".device]
is_mobile = true

[local_server.shielding_sites]
here = "local"
there = {{ unencrypted = "http://127.0.0.1:{plain}", encrypted = "https://127.0.0.1:{secure}" }}
"""
FILES = {
    "settings.json": {"one": "1", "two": "zwei"},
    "kv.json": {"a": "1", "b": {"data": "2", "metadata": "m"}, "c": {"file": "value.txt"}},
    "acl.json": {
        "entries": [
            {"op": "create", "prefix": "192.0.2.0/24", "action": "BLOCK"},
            {"op": "create", "prefix": "192.0.2.128/25", "action": "ALLOW"},
            {"op": "create", "prefix": "2001:db8::/32", "action": "BLOCK"},
        ]
    },
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things are while the cases run."""

    manifest: Path
    plain_port: int
    secure_port: int
    proxy_port: int

    def ports(self) -> tuple[int, ...]:
        """Return the ports."""
        return self.plain_port, self.secure_port, self.proxy_port


def write_manifest(folder: Path, plain: int, secure: int, proxy: int) -> Places:
    """Write the manifest and its files into `folder`."""
    for name, content in FILES.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "value.txt").write_text("from a file\n")
    path = folder / "fastly.toml"
    path.write_text(MANIFEST.format(plain=plain, secure=secure))
    return Places(manifest=path, plain_port=plain, secure_port=secure, proxy_port=proxy)
