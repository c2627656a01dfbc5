"""What a guest finds around it: names of places and ids, and its environment variables.

The values the platform's own local tools use. Nothing of the host's environment is passed on.
Host contract §2.10, §7.
"""

__all__ = ["CUSTOMER_ID", "HOSTNAME", "POP", "REGION", "SERVICE_ID", "environment"]

HOSTNAME = "localhost"
POP = "XXX"
REGION = "Somewhere"
SERVICE_ID = "0" * 22
CUSTOMER_ID = "0" * 22


def environment(sandbox_id: str) -> list[tuple[str, str]]:
    """Return the environment variables of a sandbox."""
    return [
        ("FASTLY_CACHE_GENERATION", "0"),
        ("FASTLY_CUSTOMER_ID", CUSTOMER_ID),
        ("FASTLY_HOSTNAME", HOSTNAME),
        ("FASTLY_IS_STAGING", "0"),
        ("FASTLY_POP", POP),
        ("FASTLY_REGION", REGION),
        ("FASTLY_SERVICE_ID", SERVICE_ID),
        ("FASTLY_SERVICE_VERSION", "0"),
        ("FASTLY_TRACE_ID", sandbox_id),
    ]
