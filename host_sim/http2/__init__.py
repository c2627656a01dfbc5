"""HTTP/2 to backends that speak nothing else; h2 frames and parses, this room moves bytes."""
