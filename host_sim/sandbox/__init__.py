"""Runs the guest: wasmtime, its limits, and the host functions it calls."""
