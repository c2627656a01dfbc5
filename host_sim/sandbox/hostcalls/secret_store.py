"""Secret stores. Host contract §2.8."""

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.headers import fitting
from host_sim.sandbox.objects.lookups import Secret, SecretStore
from host_sim.sandbox.state import Sandbox

__all__ = ["from_bytes", "get", "open_store", "plaintext"]

hostcall = interface("secret-store")


@hostcall("[static]store.open")
def open_store(sandbox: Sandbox, name: str) -> SecretStore:
    """Open a store."""
    secrets = sandbox.data.secret_stores.get(name)
    if secrets is None:
        raise WitError("not-found")
    return SecretStore(secrets)


@hostcall("[method]store.get")
def get(_sandbox: Sandbox, store: SecretStore, key: str) -> Secret | None:
    """Return a secret, none if there is none of that name."""
    plaintext = store.secrets.get(key)
    return None if plaintext is None else Secret(plaintext)


@hostcall("[static]secret.from-bytes")
def from_bytes(_sandbox: Sandbox, plaintext: bytes) -> Secret:
    """Make a secret of the guest's own."""
    return Secret(plaintext)


@hostcall("[method]secret.plaintext")
def plaintext(_sandbox: Sandbox, secret: Secret, max_len: int) -> bytes:
    """Return the secret in clear."""
    return fitting(secret.plaintext, max_len, told=False)
