"""The format of `pushpin.conf`: sections of keys, an included file below it, names in braces.

Knows no key; what keys mean is in `settings`. Source: GRIP §2.5; the comments of the file itself.
"""

import configparser
import re
from collections.abc import Callable
from pathlib import Path

from host_sim.errors import ConfigError

__all__ = ["Conf", "natural"]

_LIBRARIES = ("/usr/lib/pushpin", "/usr/local/lib/pushpin", "/opt/homebrew/lib/pushpin")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_TRUE = frozenset({"true", "1", "yes", "on"})


class Conf:
    """What a `pushpin.conf` says; keys are written `section/key`, and note when they are asked for.

    Attributes:
        path: where the file is; relative names in it are meant from there.
    """

    def __init__(self, path: Path) -> None:
        """Read a file, and the one it includes.

        Raises:
            ConfigError: it cannot be read, or is no such file.
        """
        self.path = path
        self._values = _read(path)
        self._own = frozenset(self._values)
        self._asked: set[str] = set()
        included = _plain(self._values.get("global/include", ""))
        self._asked.add("global/include")
        if included:
            self._values = {**self._included(included), **self._values}

    def _included(self, name: str) -> dict[str, str]:
        # Pushpin's own file has nothing but the sockets of its processes, and may not be here.
        if name == "internal.conf":
            name = "{libdir}/internal.conf"
        if "{libdir}" not in name:
            return _read(self.path.parent / name)
        places = [self.text("global/libdir"), *_LIBRARIES]
        files = [Path(name.replace("{libdir}", place)) for place in places if place]
        return next((_read(file) for file in files if file.exists()), {})

    @property
    def ignored(self) -> list[str]:
        """Keys of the file itself that nobody has asked for."""
        return sorted(self._own - self._asked)

    def text(self, key: str, default: str = "") -> str:
        """Return a value without quotes and escapes, with the names in braces replaced."""
        self._asked.add(key)
        value = _plain(self._values.get(key, default))
        for name in ("libdir", "rundir", "ipc_prefix"):
            if f"{{{name}}}" in value:
                self._asked.add(f"global/{name}")
                meant = _plain(self._values.get(f"global/{name}", ""))
                value = value.replace(f"{{{name}}}", meant)
        return value

    def parts(self, key: str, default: str = "") -> list[str]:
        """Return the values of a list that is separated by commas."""
        return [part for item in self.text(key, default).split(",") if (part := item.strip())]

    def switch(self, key: str, *, default: bool) -> bool:
        """Return a value that is `true` or something else."""
        return self.text(key, "true" if default else "false").lower() in _TRUE

    def number(self, key: str, default: int) -> int:
        """Return a number.

        Raises:
            ConfigError: it is none, or less than 0.
        """
        text = self.text(key, str(default))
        return self.made(key, natural, text)

    def made[T](self, key: str, make: Callable[[str], T], text: str) -> T:
        """Return what `make` makes of a text, which is from a key's value.

        Raises:
            ConfigError: it raised a `ValueError`; the message says where.
        """
        try:
            return make(text)
        except ValueError as error:
            raise ConfigError(f"{self.path}: {key}: {error}") from error


def _read(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(
        interpolation=None,
        delimiters=("=",),
        comment_prefixes=("#", ";"),
        strict=False,
        default_section="",
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    try:
        parser.read_string(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, configparser.Error) as error:
        first = str(error).partition("\n")[0]
        raise ConfigError(f"{path} is not a pushpin.conf: {first}") from error
    return {
        f"{section}/{key}": value
        for section in parser.sections()
        for key, value in parser.items(section)
    }


def _plain(value: str) -> str:
    """Return a value without quotes and escapes."""

    def unescape(match: re.Match[str]) -> str:
        return _ESCAPES.get(match[1], match[1])

    if not _QUOTED.search(value):
        return _ESCAPED.sub(unescape, value)
    return _QUOTED.sub(lambda match: _ESCAPED.sub(unescape, match[1]), value)


def natural(text: str) -> int:
    """Return a number that is not negative.

    Raises:
        ValueError: it is something else.
    """
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"expected a number, got {text!r}")
    return int(text)
