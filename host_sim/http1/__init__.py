"""HTTP/1.1 over sockets: h11 does the protocol, asyncio the bytes."""
