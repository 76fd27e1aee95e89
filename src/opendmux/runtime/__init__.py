"""Trio: the supervision tree, sockets and deadlines. Executes what core decides."""
