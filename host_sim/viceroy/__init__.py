"""The command `host-sim-viceroy`: everything that starts `viceroy` can start this instead.

`arguments` reads Viceroy's command line, `lines` writes what Viceroy would write, `checks` asks the
backends whether they are there, and `command` runs the simulator. Source: compute-host §5, §6.
"""
