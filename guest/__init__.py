"""The Fanout service: decide, then answer. Compiled into `bin/main.wasm`."""
