"""A plaintext finds its key, and no other."""

from __future__ import annotations

import hashlib

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


# -- by the MD5


def md5_of(plaintext: str) -> bytes:
    return hashlib.md5(plaintext.encode()).digest()


def test_a_plaintext_with_an_md5_is_found_by_it() -> None:
    entries = [(A, digest_of("fc_new"), None), (A, digest_of("fc_old"), NOW + 5), (B, digest_of("fc_b"), None)]
    keys = Keyring.of(entries, [(md5_of(name), digest_of(name)) for name in ("fc_new", "fc_old")])
    assert keys.find_md5(md5_of("fc_new"), NOW) == (A, digest_of("fc_new"))
    assert keys.find_md5(md5_of("fc_old"), NOW + 4.999) == (A, digest_of("fc_old"))
    assert keys.find_md5(md5_of("fc_old"), NOW + 5) is None
    for md5 in (md5_of("fc_b"), b"", md5_of(""), md5_of("fc_new")[:15], digest_of("fc_new")):
        assert keys.find_md5(md5, NOW) is None


def test_an_expired_key_is_not_found_by_its_md5() -> None:
    keys = Keyring.of([(B, digest_of("fc_b"), None)], [(md5_of("fc_b"), digest_of("fc_b"))])
    assert keys.find_md5(md5_of("fc_b"), NOW + 9.999) == (B, digest_of("fc_b"))
    assert keys.find_md5(md5_of("fc_b"), NOW + 10) is None
