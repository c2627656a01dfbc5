"""The `Grip-Sig` of a proxy (GRIP §2.2)."""

import time

from grip.signature import Key, verify
from host_sim.fanout.signer import Signer


def test_signature_verifies_for_an_hour() -> None:
    key = Key.secret("a secret that is as long as it should be")
    before = time.time()
    token = Signer(key, "fastly:abc")()
    claims = verify(token, key, "fastly:abc", before)
    assert set(claims.claims) == {"iss", "exp"}
    assert 3599 <= claims.expires_at - before <= 3601 + (time.time() - before)
