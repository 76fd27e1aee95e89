"""Numbers that look random and are always the same for the same words: the simulator's only source of chance."""

from __future__ import annotations

import hashlib

__all__ = ["Dice", "mix", "number", "unit"]

_MASK = (1 << 64) - 1


def number(*words: object) -> int:
    """A 64-bit number that depends on the words alone."""
    text = "\x1f".join(map(str, words)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def unit(*words: object) -> float:
    """The same as a fraction in [0, 1)."""
    return (number(*words) >> 11) / (1 << 53)


def mix(value: int) -> int:
    """One 64-bit number from another (SplitMix64's finalizer): for the places where `number` is too slow."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class Dice:
    """A stream of numbers from a seed (SplitMix64). Unlike `random.Random` it is bound to no Python version."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def bits(self) -> int:
        """The next 64-bit number."""
        value = mix(self._state)
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        return value

    def below(self, limit: int) -> int:
        """An integer in [0, limit)."""
        return self.bits() % limit

    def fraction(self) -> float:
        """A float in [0, 1)."""
        return (self.bits() >> 11) / (1 << 53)
