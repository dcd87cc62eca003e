"""The HTTP interface: one file a router, and the pure ASGI layers around them all."""
