"""One thin shell per client protocol."""
