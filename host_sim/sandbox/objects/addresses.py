"""IP addresses as the WIT has them. Host contract §2.0."""

import ipaddress

from host_sim.sandbox.border.values import Case

__all__ = ["from_text", "to_address"]

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def from_text(text: str) -> Case | None:
    """Return the WIT value of an address, None where `text` is none (a UNIX socket's path)."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])  # less the zone, which WIT has not
    except ValueError:
        return None
    packed = address.packed
    if address.version == 4:
        return Case("ipv4", tuple(packed))
    return Case("ipv6", tuple(int.from_bytes(packed[i : i + 2]) for i in range(0, 16, 2)))


def to_address(value: Case) -> Address:
    """Return the address of a WIT value."""
    if value.name == "ipv4":
        return ipaddress.IPv4Address(bytes(value.payload))
    return ipaddress.IPv6Address(b"".join(group.to_bytes(2) for group in value.payload))
