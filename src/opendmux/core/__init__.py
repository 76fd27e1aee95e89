"""Decisions: who may, who gets what, what goes upstream. Plain synchronous objects; ``now`` is passed in."""
