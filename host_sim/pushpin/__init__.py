"""Pushpin, the GRIP proxy of others: run as the engine, and its configuration files read for ours.

`process` and `keeper` run one; `engine` and `running` put it, or one that runs already, in the
place of `host_sim.fanout`. `conf`, `routes` and `settings` let `host-sim proxy` start from the
files of a Pushpin.
"""
