"""Measures GRIP proxies from outside, ours beside its peers, in one run on one machine."""
