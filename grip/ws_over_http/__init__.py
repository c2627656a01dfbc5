"""WebSocket-over-HTTP: events, control messages, and both sides of a connection, sans-IO."""
