"""Purging by surrogate key, in both caches, which are one store. Host contract §2.11."""

import itertools
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from host_sim.sandbox.cache.objects import surrogate_key
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.headers import fitting
from host_sim.sandbox.state import Sandbox

__all__ = ["purge_surrogate_key", "purge_surrogate_key_verbose"]

hostcall = interface("purge")

_log = logging.getLogger("host_sim.sandbox")
_numbers = itertools.count(1)


@hostcall("purge-surrogate-key")
def purge_surrogate_key(sandbox: Sandbox, key: str, options: Mapping[str, Any]) -> None:
    """Remove all objects with a surrogate key, or make them stale."""
    soft = options["soft-purge"]
    count = sandbox.cache.purge(surrogate_key(key), soft=soft)
    _log.debug("a %s purge of %s: %d objects", "soft" if soft else "hard", key, count)


@hostcall("purge-surrogate-key-verbose")
def purge_surrogate_key_verbose(
    sandbox: Sandbox, key: str, options: Mapping[str, Any], max_len: int
) -> str:
    """Do the same and return what the platform's API answers: an id that no other purge has."""
    answer = {"status": "ok", "id": f"{int(time.time())}{next(_numbers):06}"}
    text = fitting(json.dumps(answer), max_len)  # first, so that what fails does nothing
    purge_surrogate_key(sandbox, key, options)
    return text
