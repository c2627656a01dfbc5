"""Runs the guest: wasmtime, its limits, and the host functions it calls.

Where to read, in the order of a request:

- `instance` (`Sandboxes`) takes a request and waits for its outcome; `loading` made the component
  ready before. `reuse` gives it to a sandbox that waits for one, lets a guest be started on a
  thread, or keeps the request in line until a core is free.
- `guest` runs one instance; `state` is what belongs to it, `waiting` its clock and its bell,
  `production` counts what would be too much there.
- A call of the guest crosses the `border`.
- It arrives at a plain function in `hostcalls`, which works on `objects` and `data`, and on what
  all sandboxes share: `stores` and the `cache` (whose rules for HTTP are in `http_caching`). It
  returns a value or raises `border.values.WitError`.
- The outcome goes back to the event loop, and the sandbox may ask for its next request.

The guest's thread never touches the event loop but through `waiting`, and the event loop never
waits for a guest. Nothing here knows sockets, Fanout or `fastly.toml`.
"""
