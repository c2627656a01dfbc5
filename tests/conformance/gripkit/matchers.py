"""Expectations on header values that are more than equality."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import jwt

from tests.conformance.gripkit.http1 import Headers

GRIP_SIG_LIFETIME = 3600


@dataclass(frozen=True)
class SigningKey:
    """How the proxy signs requests: the key to verify with, the algorithm and the issuer."""

    key: str
    algorithm: str
    issuer: str


class Matcher(Protocol):
    """An expectation on one header value."""

    def problem(self, value: str, signing_key: SigningKey) -> str | None:
        """Return what is wrong with the value, or None."""


@dataclass(frozen=True)
class Like:
    """The whole value matches a regular expression."""

    pattern: str

    def problem(self, value: str, signing_key: SigningKey) -> str | None:
        """Return what is wrong with the value, or None."""
        return None if re.fullmatch(self.pattern, value) else f"does not match {self.pattern!r}"


@dataclass(frozen=True)
class ListOf:
    """The value is a comma-separated list that contains at least these members."""

    members: tuple[str, ...]

    def problem(self, value: str, signing_key: SigningKey) -> str | None:
        """Return what is wrong with the value, or None."""
        found = {member.strip() for member in value.split(",")}
        missing = [member for member in self.members if member not in found]
        return f"lacks {missing}" if missing else None


@dataclass(frozen=True)
class ValidGripSig:
    """The value is a JWT by the proxy that is valid for about an hour."""

    def problem(self, value: str, signing_key: SigningKey) -> str | None:
        """Return what is wrong with the value, or None."""
        try:
            claims = jwt.decode(
                value,
                signing_key.key,
                algorithms=[signing_key.algorithm],
                issuer=signing_key.issuer,
                options={"require": ["iss", "exp"]},
            )
        except jwt.InvalidTokenError as error:
            return f"is not a valid signature: {error}"
        left = claims["exp"] - time.time()
        if not 0 < left <= GRIP_SIG_LIFETIME + 5:
            return f"expires in {left:.0f} seconds"
        return None


class Absent:
    """There is no such header."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent()

HeaderExpectation = str | list[str] | set[str] | Matcher | Absent
HeaderExpectations = Mapping[str, HeaderExpectation]


def find_header_problem(
    headers: Headers, expected: HeaderExpectations, signing_key: SigningKey
) -> str | None:
    """Return the first way in which headers differ from what is expected, or None.

    A list expects exactly these values, in this order, in separate fields; a set in any order.
    """
    for name, expectation in expected.items():
        values = headers.get_all(name)
        if isinstance(expectation, Absent):
            if values:
                return f"header {name} should be absent but is {values!r}"
            continue
        if isinstance(expectation, list | set):
            found = values if isinstance(expectation, list) else set(values)
            if found != expectation or len(values) != len(expectation):
                return f"header {name} is {values!r}, expected {expectation!r}"
            continue
        if len(values) != 1:
            return f"header {name} should be there once, found {values!r}"
        if isinstance(expectation, str):
            if values[0] != expectation:
                return f"header {name} is {values[0]!r}, expected {expectation!r}"
        elif problem := expectation.problem(values[0], signing_key):
            return f"header {name} = {values[0]!r} {problem}"
    return None
