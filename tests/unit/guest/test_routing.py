"""The decision: every kind of request leads to exactly one of hand-off, answer and refusal."""

import pytest

from grip.errors import SignatureError
from guest.handlers import ENDPOINTS
from guest.messages import SetupError
from guest.routing import Answer, Decision, HandOff, Refuse, decide


def decided(
    path: str = "/stream", *signatures: str, origin: bool = False, good: str = "good"
) -> Decision:
    def verify(token: str) -> None:
        if token != good:
            raise SignatureError("expected issuer 'a', got 'b'")

    return decide(path, signatures, verify=verify, has_backend=lambda name: origin)


@pytest.mark.parametrize("origin", [False, True])
@pytest.mark.parametrize("path", ENDPOINTS)
def test_own_endpoints_are_handed_off_to_self(path: str, origin: bool) -> None:
    assert decided(path, origin=origin) == HandOff("self")


@pytest.mark.parametrize("path", ["/", "/nothing", "/ws/", "/Stream", "/stream%20", "/sse/../ws"])
def test_other_paths_are_handed_off_to_origin_if_there_is_one(path: str) -> None:
    assert decided(path, origin=True) == HandOff("origin")
    assert decided(path, origin=False) == HandOff("self")


def test_backends_are_only_looked_up_where_that_matters() -> None:
    def unasked(_: str) -> bool:
        raise AssertionError

    decide("/ws", [], verify=unasked, has_backend=unasked)
    decide("/nothing", ["good"], verify=lambda _: None, has_backend=unasked)


@pytest.mark.parametrize("path", [*ENDPOINTS, "/", "/nothing"])
def test_what_fanout_signed_is_answered_on_every_path(path: str) -> None:
    assert decided(path, "good", origin=True) == Answer()


@pytest.mark.parametrize("origin", [False, True])
@pytest.mark.parametrize("path", [*ENDPOINTS, "/nothing"])
@pytest.mark.parametrize("signatures", [[""], ["bad"], ["good", "good"], ["bad", "good"]])
def test_a_bad_signature_never_leads_to_a_hand_off(
    path: str, signatures: list[str], origin: bool
) -> None:
    decision = decided(path, *signatures, origin=origin)
    assert isinstance(decision, Refuse)
    assert "good" not in decision.reason


def test_the_reason_of_a_refusal_is_that_of_the_check() -> None:
    assert decided("/ws", "bad") == Refuse("expected issuer 'a', got 'b'")


def test_a_service_set_up_wrongly_is_no_refusal() -> None:
    def verify(_: str) -> None:
        raise SetupError("no key")

    with pytest.raises(SetupError):
        decide("/ws", ["token"], verify=verify, has_backend=lambda _: False)
