"""A plaintext finds its key, and no other."""

from __future__ import annotations

from opendmux.core.keys import Key, Keyring, digest_of

NOW = 1_000.0
A = Key("a", frozenset({"qot:read"}))
B = Key("b", frozenset({"acc:read"}), expires_at=NOW + 10)


def ring() -> Keyring:
    return Keyring.of([(A, digest_of("fc_new"), None), (A, digest_of("fc_old"), NOW + 5), (B, digest_of("fc_b"), None)])


def test_a_plaintext_finds_its_key() -> None:
    assert ring().find("fc_new", NOW) is A
    assert ring().find("fc_b", NOW) is B


def test_another_finds_none() -> None:
    for plaintext in ("", "fc_", "fc_neW", "fc_new ", digest_of("fc_new").hex()):
        assert ring().find(plaintext, NOW) is None
    assert Keyring().find("", NOW) is None


def test_a_key_ends_at_its_expiry() -> None:
    assert ring().find("fc_b", NOW + 9.999) is B
    assert ring().find("fc_b", NOW + 10) is None


def test_the_old_plaintext_of_a_rotated_key_ends_alone() -> None:
    assert ring().find("fc_old", NOW + 4.999) is A
    assert ring().find("fc_old", NOW + 5) is None
    assert ring().find("fc_new", NOW + 5) is A
