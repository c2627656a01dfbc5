"""Geolocation and device detection from files, as a manifest names them. Host contract §4.3."""

import json
from pathlib import Path

import pytest

from host_sim.config.manifest import load_manifest
from host_sim.lookups import host_data
from tests.support.hosts import guests

pytestmark = pytest.mark.wasm

MANIFEST = """
[local_server.geolocation]
format = "json"
file = "{folder}/geo.json"
[local_server.device_detection]
format = "json"
file = "{folder}/devices.json"
"""
SCRIPT = """
address = types.IpAddress_Ipv4((192, 0, 2, 1))
answer([
    failure(geo.lookup, address, 99) or json.loads(geo.lookup(address, 99)),
    failure(device_detection.lookup, "probe", 99)
    or json.loads(device_detection.lookup("probe", 99) or "null"),
])
"""


@pytest.mark.parametrize("border", ["direct", "public"])
async def test_files_are_read_at_each_look_up(tmp_path: Path, border: str) -> None:
    """A file that cannot be read any more fails the look-up, not the guest."""
    places, devices = tmp_path / "geo.json", tmp_path / "devices.json"
    places.write_text(json.dumps({"192.0.2.1": {"city": "A"}}))
    devices.write_text(json.dumps({"probe": {"device": {"brand": "B"}}}))
    (tmp_path / "fastly.toml").write_text(MANIFEST.format(folder=tmp_path))
    data = host_data(load_manifest(tmp_path / "fastly.toml"))
    async with guests(border, data=data) as guest:
        assert await guest.json(SCRIPT) == [{"city": "A"}, {"device": {"brand": "B"}}]
        places.write_text(json.dumps({"192.0.2.1": {"city": "C"}}))
        devices.write_text("{}")
        assert await guest.json(SCRIPT) == [{"city": "C"}, None]
        places.write_text(json.dumps({"nowhere": {}}))
        devices.unlink()
        assert await guest.json(SCRIPT) == ["GenericError", "GenericError"]
