"""Memory for guests from a pool: a fresh guest takes the place of one that has gone.

Without it, wasmtime maps the memory of each instance anew and the system hands it out page by page,
some 600 times for one request of a Python guest. A pool reserves 4 GiB of addresses for each memory
that it may come to, and an engine that cannot have them ends the process: so it is for commands,
which have one engine, and not for test suites, which have hundreds.

wasmtime-py has no words for the pool, so it is asked for in those of the C API; where these are
not there, guests get their memory as they always did. Source: `wasmtime/config.h`, "pooling
allocation".
"""

import ctypes
import importlib.util
from typing import Final

import wasmtime
from wasmtime import _ffi as ffi

__all__ = ["MAX_PARTS", "MAX_TABLE_ELEMENTS", "SEATS", "set_pool"]

SEATS: Final = 16
"""Guests that have room in the pool at a time: some at work, some parked, some that are cleared
away after their answer. Each seat that was ever taken keeps its memory, 20 MiB for a guest in
Python, so there are not many; what runs beside them gets memory of its own, which costs more."""

MAX_PARTS: Final = 100
"""Core instances, memories and tables a component may have. Host contract §8."""

MAX_TABLE_ELEMENTS: Final = 98_765
"""Elements of each table, mostly functions that can be called through it. Likewise."""

_MAX_MEMORY_BYTES: Final = 128 << 20  # likewise, of each memory
_MEMORIES: Final = 4  # of a component in the pool; each reserves 4 GiB of addresses
_TABLES: Final = 16
_STATE_BYTES: Final = 1 << 20

_SETTINGS: Final = {
    "total_component_instances": SEATS,
    "total_core_instances": SEATS * MAX_PARTS,
    "total_memories": SEATS * _MEMORIES,
    "total_tables": SEATS * _TABLES,
    "max_core_instances_per_component": MAX_PARTS,
    "max_memories_per_component": _MEMORIES,
    "max_tables_per_component": _TABLES,
    "max_component_instance_size": _STATE_BYTES,
    "max_core_instance_size": _STATE_BYTES,
    "max_memory_size": _MAX_MEMORY_BYTES,
    "table_elements": MAX_TABLE_ELEMENTS,
    "max_unused_warm_slots": SEATS * _MEMORIES,
    "linear_memory_keep_resident": 32 << 20,  # all that a Python guest comes with
    "table_keep_resident": 1 << 20,
}


def set_pool(config: wasmtime.Config) -> bool:
    """Let the engine made of `config` have a pool; return whether it will."""
    name = "wasmtime_pooling_allocation_"
    try:
        new, delete = ffi.dll[f"{name}config_new"], ffi.dll[f"{name}config_delete"]
        use = ffi.dll[f"{name}strategy_set"]
        setters = {key: ffi.dll[f"{name}config_{key}_set"] for key in _SETTINGS}
    except AttributeError:
        return False
    if _addresses_are_limited():
        return False  # the engine would end the process
    new.restype = ctypes.c_void_p
    delete.argtypes = [ctypes.c_void_p]
    use.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    pool = new()
    for key, setter in setters.items():
        setter.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        setter(pool, _SETTINGS[key])
    use(config.ptr(), pool)
    delete(pool)
    return True


def _addresses_are_limited() -> bool:
    """Tell whether this process may not reserve addresses as it likes (`ulimit -v`)."""
    if importlib.util.find_spec("resource") is None:
        return False
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
