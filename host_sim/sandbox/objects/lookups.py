"""The things a guest opens by name and holds as handles: backends, stores, endpoints, lists."""

import dataclasses
from collections.abc import Mapping, Sequence

from host_sim.sandbox.data import AclEntry, BackendFacts, DynamicBackend

__all__ = ["Acl", "Backend", "ConfigStore", "Endpoint", "Secret", "SecretStore"]


@dataclasses.dataclass(frozen=True, slots=True)
class Backend:
    """A backend by name, with what is known about it; `dynamic` if the guest described it."""

    name: str
    facts: BackendFacts
    dynamic: DynamicBackend | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigStore:
    """The entries of a config store or dictionary, as they were when it was opened."""

    entries: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class SecretStore:
    """The secrets of a store."""

    secrets: Mapping[str, bytes]


@dataclasses.dataclass(frozen=True, slots=True)
class Secret:
    """A secret, which never shows in a log."""

    plaintext: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """A log endpoint."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Acl:
    """An access control list."""

    entries: Sequence[AclEntry]
