"""Message classes of our own .proto files; see _pool.py."""
