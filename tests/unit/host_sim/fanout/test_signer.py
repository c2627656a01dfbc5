"""The `Grip-Sig` of a proxy (GRIP §2.2)."""

import pytest

from grip.signature import Key, verify
from host_sim.fanout.signer import Signer

NOW = 1_700_000_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which the test may change."""
    times = [NOW]
    monkeypatch.setattr("time.time", lambda: times[0])
    return times


def test_signature_verifies_for_an_hour(clock: list[float]) -> None:
    key = Key.secret("a secret that is as long as it should be")
    token = Signer(key, "fastly:abc")()
    claims = verify(token, key, "fastly:abc", clock[0])
    assert claims.claims == {"iss": "fastly:abc", "exp": NOW + 3600}


def test_signature_is_made_once_a_second(clock: list[float]) -> None:
    sign = Signer(Key.secret("a secret that is as long as it should be"), "fastly:abc")
    tokens = []
    for now in (NOW, NOW + 0.9, NOW + 1, NOW - 5):  # clocks can be set back
        clock[0] = now
        tokens.append(sign())
    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 3
