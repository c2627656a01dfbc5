"""The same guest on a real Viceroy and here: many small cases, and what differs in their answers.

`python -m tests.viceroy` runs them and prints the differences. Those that are intended are listed
in `expected`, with the reason, and described in docs/host.md.
"""
