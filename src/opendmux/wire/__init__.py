"""Bytes to events and back, for every protocol; no clock, no socket, no await."""
