"""Records that lie in a file, which is read at each look-up. Host contract §4.3."""

import logging
from collections.abc import Mapping

from host_sim.errors import ConfigError
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.data import Records

__all__ = ["records_of"]

_log = logging.getLogger("host_sim.sandbox")


def records_of(records: Records) -> Mapping[str, Mapping[str, object]]:
    """Return records as they are now.

    Raises:
        WitError: `generic-error`, their file cannot be read any more.
    """
    try:
        return records() if callable(records) else records
    except (OSError, ConfigError) as error:
        _log.warning("%s", error)
        raise WitError("generic-error") from error
