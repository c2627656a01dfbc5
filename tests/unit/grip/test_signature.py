"""`Grip-Sig`: which tokens hold and which do not (GRIP §2.2, RFC 8725)."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import jwt
import pytest

from grip.errors import LocalProtocolError, SignatureError
from grip.signature import FASTLY_FANOUT_KEY, Algorithm, Claims, Key, sign, verify

# Signed by Fastly, valid until 1675365428.
FASTLY_TOKEN = (
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJleHAiOjE2NzUzNjU0MjgsImlzcyI6ImZhc3RseSJ9."
    "QL2Pm1JnXV_vAYK7ijeD4U1CBjOTLihNMDZ-qfvjkKOTUiK1jyxGEwjZfeApijRaOtQT8fVkdPnKjF-tBiUzkA"
)
FASTLY_EXPIRES = 1675365428
FASTLY_JWK = {
    "kty": "EC",
    "crv": "P-256",
    "x": "CKo5A1ebyFcnmVV8SE5On-8G81JyBjSvcrx4VLetWCg",
    "y": "7gwJqaU6N8TP88--twjkwoB36f-pT3QsmI46nPhjO7M",
}
FASTLY_BODY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAECKo5A1ebyFcnmVV8SE5On+8G81JyBjSvcrx4VLetWCjuDAmppTo3"
    "xM/zz763COTCgHfp/6lPdCyYjjqc+GM7sw=="
)
# A key pair made for these tests (RFC 7515, appendix A.3 has the same one as a JWK).
OWN_JWK = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
OWN_PRIVATE = Key.jwk(OWN_JWK | {"d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"})
OWN_PUBLIC = Key.jwk(OWN_JWK)
SECRET = Key.secret("short")
NOW = 1000.0


def token_of(header: object, payload: object, signature: bytes = b"") -> str:
    """Return a token with anything in it."""
    parts = [
        part if isinstance(part, bytes) else json.dumps(part).encode()
        for part in (header, payload, signature)
    ]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def signed(claims: Mapping[str, object]) -> str:
    return jwt.encode(dict(claims), "k" * 32, algorithm="HS256")


def reason(token: str, key: Key = SECRET, issuer: str | None = None, now: float = NOW) -> str:
    with pytest.raises(SignatureError) as caught:
        verify(token, key, issuer, now)
    return str(caught.value)


class TestFastly:
    """The real token and key."""

    def test_verifies_with_the_clock_set_back(self) -> None:
        claims = verify(FASTLY_TOKEN, FASTLY_FANOUT_KEY, "fastly", FASTLY_EXPIRES - 1)
        expected = {"exp": FASTLY_EXPIRES, "iss": "fastly"}
        assert claims == Claims("fastly", FASTLY_EXPIRES, expected)

    def test_has_expired(self) -> None:
        """RFC 7519 §4.1.4: on `exp` it is too late."""
        assert "expired 0 s ago" in reason(
            FASTLY_TOKEN, FASTLY_FANOUT_KEY, "fastly", FASTLY_EXPIRES
        )

    def test_issuer(self) -> None:
        time = FASTLY_EXPIRES - 1
        assert verify(FASTLY_TOKEN, FASTLY_FANOUT_KEY, None, time).issuer == "fastly"
        assert "issuer 'fastly:abc'" in reason(FASTLY_TOKEN, FASTLY_FANOUT_KEY, "fastly:abc", time)

    def test_other_key(self) -> None:
        assert "does not verify" in reason(FASTLY_TOKEN, OWN_PUBLIC, "fastly", FASTLY_EXPIRES - 1)

    def test_any_change_breaks_it(self) -> None:
        header, payload, signature = FASTLY_TOKEN.split(".")
        later = base64.urlsafe_b64encode(b'{"exp":9999999999,"iss":"fastly"}').decode().rstrip("=")
        for token in (
            f"{header}.{later}.{signature}",
            f"{header}.{payload}.{signature[::-1]}",
            f"{header}.{payload}.",
            f"{header}.{payload}",
            f"{header}.{payload}.{signature}.{signature}",
            FASTLY_TOKEN + "A",
            " " + FASTLY_TOKEN,
        ):
            reason(token, FASTLY_FANOUT_KEY, None, FASTLY_EXPIRES - 1)


class TestAlgorithm:
    """The key fixes the algorithm (RFC 8725 §2.1, §3.1)."""

    def test_none(self) -> None:
        for alg in ("none", "None", "NONE", "", None):
            token = token_of({"alg": alg}, {"exp": 9e9})
            for key in (SECRET, OWN_PUBLIC):
                reason(token, key)
                reason(token + ".", key)

    def test_secret_made_of_the_public_key(self) -> None:
        """The classic: HS256 with the text of the public key as the secret."""
        assert isinstance(FASTLY_FANOUT_KEY.material, str)
        unsigned = token_of({"alg": "HS256"}, {"exp": 9e9}).removesuffix(".")
        for secret in (FASTLY_FANOUT_KEY.material, FASTLY_BODY, json.dumps(FASTLY_JWK)):
            mac = hmac.digest(secret.encode(), unsigned.encode(), hashlib.sha256)
            token = f"{unsigned}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
            assert "alg" in reason(token, FASTLY_FANOUT_KEY)

    @pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
    def test_other_algorithms_with_the_same_key(self, algorithm: str) -> None:
        token = jwt.encode({"exp": 9999999999}, "k" * 64, algorithm=algorithm)
        reason(token, Key.secret("k" * 64))

    def test_keys_are_for_one_algorithm(self) -> None:
        own = sign(OWN_PRIVATE, "me", NOW)
        assert verify(own, OWN_PUBLIC, "me", NOW).issuer == "me"
        reason(own, SECRET)
        reason(sign(SECRET, "me", NOW), OWN_PUBLIC)


class TestClaims:
    @pytest.mark.parametrize(
        ("claims", "said"),
        [
            ({}, "claim exp, got none"),
            ({"exp": None}, "number for claim exp"),
            ({"exp": "9999999999"}, "number for claim exp"),
            ({"exp": True}, "number for claim exp"),
            ({"exp": []}, "number for claim exp"),
            ({"exp": 10**400}, "time for claim exp"),
            ({"exp": 1000}, "expired 0 s ago"),
            ({"exp": 990.5}, "expired 10 s ago"),
            ({"exp": 2000, "nbf": 1060}, "60 s from now"),
            ({"exp": 2000, "nbf": "x"}, "number for claim nbf"),
            ({"exp": 2000, "aud": "somebody"}, "audience"),
            ({"exp": 2000}, "issuer 'me', got None"),
            ({"exp": 2000, "iss": "you"}, "issuer 'me', got 'you'"),
        ],
        ids=str,
    )
    def test_refused(self, claims: Mapping[str, object], said: str) -> None:
        assert said in reason(signed(claims), Key.secret("k" * 32), "me")

    def test_accepted(self) -> None:
        claims = {"exp": 1000.5, "nbf": 1000, "iat": 5000, "iss": "me", "x": [1]}
        assert verify(signed(claims), Key.secret("k" * 32), "me", NOW) == Claims(
            "me", 1000.5, claims
        )

    def test_issuer_need_not_be_there_if_nobody_asks(self) -> None:
        assert verify(signed({"exp": 2000}), Key.secret("k" * 32), None, NOW).issuer is None

    @pytest.mark.parametrize("payload", [b"", b"[]", b"5", b"\xff", b"{", b'{"exp": NaN}'])
    def test_claims_must_be_an_object(self, payload: bytes) -> None:
        token = jwt.PyJWS().encode(payload, "k" * 32, algorithm="HS256")
        assert "JSON" in reason(token, Key.secret("k" * 32))


GARBAGE = [
    "",
    ".",
    "..",
    "...",
    "a.b.c",
    "\x00",
    "\ud800",
    "ü.ü.ü",
    "x" * 1_000_000,
    "." * 8000,
    token_of(b"[" * 700, {}),
    token_of(b"[" * 5000, {}),
    token_of([], {}),
    token_of({"alg": ["HS256"]}, {}),
    token_of({"alg": "HS256", "crit": ["x"]}, {}),
    token_of({"alg": "HS256", "b64": False, "crit": ["b64"]}, b""),
    token_of({"alg": "HS256", "kid": 5}, {}),
    token_of(b'{"alg":"HS256","alg":"none"}', {}),
]


@pytest.mark.parametrize("token", GARBAGE, ids=lambda token: ascii(token)[:40])
def test_garbage_is_refused_and_not_repeated(token: str) -> None:
    for key in (SECRET, FASTLY_FANOUT_KEY):
        assert len(reason(token, key)) < 200


class TestSign:
    def test_as_pushpin_does(self) -> None:
        """GRIP §2.2."""
        token = sign(SECRET, "pushpin", 1000.9)
        assert token.startswith("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.")  # typ JWT, alg HS256
        assert verify(token, SECRET, "pushpin", NOW).claims == {"iss": "pushpin", "exp": 4600}

    def test_lifetime(self) -> None:
        token = sign(OWN_PRIVATE, "me", NOW, lifetime_s=10)
        assert verify(token, OWN_PRIVATE, "me", NOW + 9).expires_at == 1010
        reason(token, OWN_PUBLIC, "me", NOW + 10)

    def test_a_public_key_cannot_sign(self) -> None:
        with pytest.raises(LocalProtocolError, match="cannot sign"):
            sign(FASTLY_FANOUT_KEY, "me", NOW)

    def test_short_secrets_are_the_owners_choice(self) -> None:
        """RFC 7518 §3.2 wants more, and PyJWT warns; warnings are errors here."""
        assert verify(sign(Key.secret("x"), "me", NOW), Key.secret("x"), "me", NOW)


class TestKey:
    PEM = f"-----BEGIN PUBLIC KEY-----\n{FASTLY_BODY}\n-----END PUBLIC KEY-----"

    @pytest.mark.parametrize(
        "text",
        [
            PEM,
            PEM.encode(),
            f"\n  {PEM}\n\n",
            PEM.replace("\n", "\r\n"),
            FASTLY_BODY,
            f" {FASTLY_BODY[:64]}\n{FASTLY_BODY[64:]}\n",
            json.dumps(FASTLY_JWK),
        ],
        ids=["pem", "bytes", "spaces", "crlf", "body", "lines", "jwk"],
    )
    def test_forms_of_one_key(self, text: str | bytes) -> None:
        assert Key.parse(text) == FASTLY_FANOUT_KEY

    def test_private_forms(self) -> None:
        from cryptography.hazmat.primitives import serialization as form

        assert isinstance(OWN_PRIVATE.material, str)
        prepared = form.load_pem_private_key(OWN_PRIVATE.material.encode(), None)
        assert verify(sign(Key(Algorithm.ES256, prepared), "me", NOW), OWN_PUBLIC, "me", NOW)
        for layout in (form.PrivateFormat.PKCS8, form.PrivateFormat.TraditionalOpenSSL):
            pem = prepared.private_bytes(form.Encoding.PEM, layout, form.NoEncryption()).decode()
            body = "".join(line for line in pem.splitlines() if "-----" not in line)
            parameters = "-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n"
            for text in (pem, parameters + pem, body):
                assert verify(sign(Key.parse(text), "me", NOW), OWN_PUBLIC, "me", NOW)

    def test_secrets(self) -> None:
        assert Key.parse("secret") == Key(Algorithm.HS256, b"secret")
        assert Key.parse(b"\xff\xfe") == Key(Algorithm.HS256, b"\xff\xfe")
        assert Key.parse("base64:/+8=") == Key.parse("base64:/+8") == Key.secret(b"\xff\xef")
        assert Key.secret("base64:/ 8=") == Key.secret("base64:/+8=")  # out of a URL
        assert Key.jwk({"kty": "oct", "k": "_-8"}) == Key.secret(b"\xff\xef")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "base64:",
            "base64:!",
            "{}",
            "{",
            '{"kty": "RSA"}',
            '{"kty": "oct"}',
            '{"kty": "EC", "crv": "P-384"}',
            json.dumps(FASTLY_JWK | {"x": "AAAA"}),
            json.dumps(FASTLY_JWK | {"y": 5}),
            PEM[:-30],
            PEM.replace("MFkw", "????"),
            PEM.replace("PUBLIC KEY", "CERTIFICATE"),
            PEM.replace("PUBLIC KEY", "RSA PUBLIC KEY"),
            FASTLY_BODY[:-3],
            FASTLY_BODY[:20],
        ],
        ids=lambda text: text[:60],
    )
    def test_a_broken_key_is_no_secret(self, text: str) -> None:
        """Else half a public key would be a secret that everybody knows."""
        with pytest.raises(LocalProtocolError) as caught:
            Key.parse(text)
        assert FASTLY_BODY[24:40] not in str(caught.value)

    def test_a_key_that_is_no_point_verifies_nothing(self) -> None:
        reason(FASTLY_TOKEN, Key.jwk(OWN_JWK | {"y": OWN_JWK["x"]}))
        reason(FASTLY_TOKEN, Key(Algorithm.ES256, "no key"))
        reason(FASTLY_TOKEN, Key(Algorithm.ES256, object()))

    def test_keys_do_not_show_themselves(self) -> None:
        assert "short" not in repr(SECRET)
        assert "PRIVATE" not in repr(OWN_PRIVATE)


def test_works_without_cryptography() -> None:
    """In the guest there is none; HS256 needs nothing, ES256 what was registered for it."""
    script = """if True:
        import sys
        sys.modules["cryptography"] = None
        import jwt
        from jwt.algorithms import Algorithm, has_crypto
        assert not has_crypto
        from grip.errors import SignatureError
        from grip.signature import FASTLY_FANOUT_KEY, Key, sign, verify
        key = Key.secret("k" * 32)
        assert verify(sign(key, "me", 1), key, "me", 2).issuer == "me"
        try:
            verify("x", FASTLY_FANOUT_KEY, None, 1)
        except SignatureError as error:
            print(error)

        class Yes(Algorithm):
            def prepare_key(self, key): return key
            def sign(self, msg, key): raise NotImplementedError
            def verify(self, msg, key, sig): return key is FASTLY_FANOUT_KEY.material
            def to_jwk(key_obj, as_dict=False): raise NotImplementedError
            def from_jwk(jwk): raise NotImplementedError

        jwt.register_algorithm("ES256", Yes())
        print(verify(sys.argv[1], FASTLY_FANOUT_KEY, "fastly", 1).issuer)
    """
    root = Path(__file__).resolve().parents[3]
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, FASTLY_TOKEN],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    assert "does not verify" in lines[0]
    assert lines[1] == "fastly"
