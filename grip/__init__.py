"""GRIP, the protocol between a push proxy and its backend, sans-IO: no sockets, no clock."""
