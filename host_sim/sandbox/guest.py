"""One instance of the component in one store: starts it, calls it, says how it ended.

Host contract §1.1 (Instance), §1.2, §7.
"""

import logging
import re
from collections.abc import Sequence

import wasmtime
from wasmtime import component as wit

from host_sim.sandbox.border.binding import running
from host_sim.sandbox.border.values import Stopped
from host_sim.sandbox.loading.engine import TICK_S, Loaded
from host_sim.sandbox.loading.pooling import MAX_PARTS, MAX_TABLE_ELEMENTS
from host_sim.sandbox.output import Lines
from host_sim.sandbox.state import Sandbox
from host_sim.sandbox.surroundings import environment

__all__ = ["run_guest"]

_log = logging.getLogger("host_sim.sandbox")

_TRAP = re.compile(r"wasm trap: (.+)")


def run_guest(loaded: Loaded, sandbox: Sandbox) -> str | None:
    """Serve a request on this thread; return why it failed, None if the guest ended well."""
    streams = [Lines(name, lambda: sandbox.request_id) for name in ("stdout", "stderr")]
    try:
        with loaded.ticker, running(sandbox):
            sandbox.waiting.start_cpu()
            return _run(loaded, sandbox, *streams)
    except Stopped as stopped:  # before it began
        return str(stopped)
    except Exception as error:  # noqa: BLE001 - a guest's thread has nobody to raise to
        _log.exception("running a guest failed", extra={"request_id": sandbox.request_id})
        return f"the host failed: {type(error).__name__}: {error}"
    finally:
        for stream in streams:
            stream.flush()


def _run(loaded: Loaded, sandbox: Sandbox, stdout: Lines, stderr: Lines) -> str | None:
    store = _make_store(loaded, sandbox, stdout, stderr)
    linked = loaded.linked
    try:
        loaded.border.watch(store, int(sandbox.waiting.limits.cpu_s / TICK_S) + 1)
        instance = linked.linker.instantiate(store, linked.component)
        handle = instance.get_func(store, linked.handler)
        assert handle is not None
        request, body = sandbox.incoming()
        result = handle(
            store,
            wit.ResourceHost.own(sandbox.handles.add(request), linked.request_type),
            wit.ResourceHost.own(sandbox.handles.add(body), linked.body_type),
        )
    except wasmtime.ExitTrap as exit_:
        if exit_.code == 0:
            return None
        said = _said(stderr.recent)
        return "the guest exited with a failure" + (f": {said}" if said else "")
    except wasmtime.WasmtimeError as error:
        return sandbox.fault or _describe(sandbox, str(error), stderr.recent)
    finally:
        store.close()
    if result.tag == "ok":
        return None
    # A host call's error that nobody catches leaves a Python guest like this, without a word.
    return "the guest's handler returned an error" + (
        f"; the last thing to fail: {sandbox.last_error}" if sandbox.last_error else ""
    )


def _make_store(loaded: Loaded, sandbox: Sandbox, stdout: Lines, stderr: Lines) -> wasmtime.Store:
    limits = sandbox.waiting.limits
    store = wasmtime.Store(loaded.engine)
    store.set_limits(
        memory_size=limits.memory_bytes,
        instances=MAX_PARTS,
        memories=MAX_PARTS,
        tables=MAX_PARTS,
        table_elements=MAX_TABLE_ELEMENTS,
    )
    wasi = wasmtime.WasiConfig()
    wasi.argv = ["compute-app"]
    wasi.env = environment(sandbox.id)
    wasi.stdout_custom = stdout.write
    wasi.stderr_custom = stderr.write
    store.set_wasi(wasi)
    return store


def _describe(sandbox: Sandbox, text: str, lines: Sequence[str]) -> str:
    """Say in one line why the guest trapped, from wasmtime's text and the guest's last lines."""
    trap = _TRAP.search(text)
    what = trap[1] if trap else text.splitlines()[-1].strip()
    if any("MemoryError" in line for line in lines):
        return "the guest ran out of memory"
    if "fuel allocated for hostcalls" in what:
        return (
            "the guest gave more than 2.6 MiB to the host in one call, which wasmtime does not "
            "take; write large bodies in pieces"
        )
    if what == "interrupt":  # only on the slow border, which cannot say why
        try:
            sandbox.check()
        except Stopped as stopped:
            return str(stopped)
        return "the guest computed for too long; does it loop?"
    said = _said(lines)
    if said and "unreachable" in what:  # how panics and aborts look
        return f"the guest trapped: {said}"
    return f"the guest trapped: {what}" + (f" ({said})" if said else "")


def _said(lines: Sequence[str]) -> str:
    """Return the line that tells most: the one before a Python guest's panic, after a Rust one's.

    An exception that leaves a Python guest ends it with a panic of its Rust parts.
    """
    for place, line in enumerate(lines):
        if " panicked at " in line:
            after = lines[place + 1] if place + 1 < len(lines) else line
            told = lines[place - 1] if after.startswith("Python function") and place else after
            return told.strip()
    return lines[-1].strip() if lines else ""
