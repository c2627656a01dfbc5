"""Dictionaries: config stores under their old name. Host contract §2.8."""

from host_sim.sandbox.hostcalls import config_store, interface

__all__: list[str] = []

hostcall = interface("dictionary")

hostcall("[static]dictionary.open")(config_store.open_store)
hostcall("[method]dictionary.lookup")(config_store.get)
