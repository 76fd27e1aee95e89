"""Bodies: known answers, every length, hostile bytes, what a key file may be."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from opendmux.errors import ConfigError, RemoteProtocolError
from opendmux.wire.cipher import (
    PADDING_MAX,
    RANDOM_BYTES,
    RSA_PIECES_MAX,
    EncAlgo,
    PacketCipher,
    RsaKey,
    conn_secrets,
    pick_algo_untrusted,
)

from .secure_kit import AES, DETERMINISTIC, IV, IV_OF, KEY, OURS, RSA, SMALL, THEIRS, decrypt, encrypt

if TYPE_CHECKING:
    from pathlib import Path

# Key 0123456789abcdef, IV fedcba9876543210; made with the openssl command.
KNOWN = [
    (EncAlgo.AES_CBC, b"", "3c492cedd954cc383f3d3ee93e728484"),
    (EncAlgo.AES_CBC, b"opendmux", "ac184ff8ac8561aeba309567a055f9b1"),
    (EncAlgo.AES_CBC, b"0123456789abcdef", "6575cf6b37479d9215337ff9767fe7866673e70d7e0bf17498019ee1bc7b945f"),
    (EncAlgo.AES_ECB, b"", "377222e061a924c591cd9c27ea163ed4"),
    (EncAlgo.AES_ECB, b"opendmux", "9cb1fa186d452ee1d0b464001262cafb"),
    (EncAlgo.AES_ECB, b"0123456789abcdef", "72727e881edcfd0100a718687909b565377222e061a924c591cd9c27ea163ed4"),
    (EncAlgo.FTAES_ECB, b"", "00000000000000000000000000000000"),
    (EncAlgo.FTAES_ECB, b"0123456789abcdef", "72727e881edcfd0100a718687909b56500000000000000000000000000000000"),
    (EncAlgo.NONE, b"opendmux", b"opendmux".hex()),
]


def cipher_of(algo: EncAlgo) -> PacketCipher:
    return PacketCipher(algo, KEY, IV_OF[algo])


# -- AES


@pytest.mark.parametrize(("algo", "plain", "sealed"), KNOWN, ids=lambda value: getattr(value, "name", None))
def test_known_answers(algo: EncAlgo, plain: bytes, sealed: str) -> None:
    cipher = cipher_of(algo)
    for _ in range(2):  # the second time with a chain that has moved on
        assert cipher.encrypt(plain).hex() == sealed
        assert cipher.decrypt_untrusted(bytes.fromhex(sealed)) == plain


def test_the_tail_block_of_ftaes() -> None:
    sealed = cipher_of(EncAlgo.FTAES_ECB).encrypt(b"opendmux")
    assert sealed[:16] == cipher_of(EncAlgo.FTAES_ECB).encrypt(b"opendmux" + bytes(8))[:16]
    assert sealed[16:] == bytes(15) + b"\x08"


@pytest.mark.parametrize("algo", EncAlgo)
def test_every_length(algo: EncAlgo) -> None:
    ours = cipher_of(algo)
    for length in [*range(100), 4095, 4096, 4097]:
        body = bytes(i * 7 % 256 for i in range(length))
        sealed = ours.encrypt(body)
        assert sealed == encrypt(algo, body)
        assert len(sealed) <= length + PADDING_MAX
        assert ours.decrypt_untrusted(sealed) == body


@pytest.mark.parametrize("algo", EncAlgo)
@DETERMINISTIC
@given(steps=st.lists(st.tuples(st.booleans(), st.binary(max_size=70)), max_size=12))
def test_bodies_do_not_depend_on_those_before(algo: EncAlgo, steps: list[tuple[bool, bytes]]) -> None:
    """Both directions and damaged bodies mixed; every body is as one alone."""
    cipher = cipher_of(algo)
    for outward, body in steps:
        if outward:
            assert decrypt(algo, cipher.encrypt(body)) == body
        else:
            assert cipher.decrypt_untrusted(encrypt(algo, body)) == body
            try:
                cipher.decrypt_untrusted(body)
            except RemoteProtocolError:
                continue


@pytest.mark.parametrize("algo", AES)
@pytest.mark.parametrize("length", [0, 1, 15, 17, 31])
def test_a_length_that_cannot_be(algo: EncAlgo, length: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"{length} bytes are not whole blocks"):
        cipher_of(algo).decrypt_untrusted(bytes(length))


@pytest.mark.parametrize(("blocks", "rest"), [(1, 16), (1, 255), (0, 1), (0, 15)])
def test_a_tail_block_that_cannot_be(blocks: int, rest: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"says {rest} behind {blocks * 16} bytes"):
        cipher_of(EncAlgo.FTAES_ECB).decrypt_untrusted(bytes(16 * blocks + 15) + bytes([rest]))


def test_only_the_last_byte_of_the_tail_block_counts() -> None:
    sealed = cipher_of(EncAlgo.FTAES_ECB).encrypt(b"opendmux")
    assert cipher_of(EncAlgo.FTAES_ECB).decrypt_untrusted(sealed[:16] + b"\xff" * 15 + b"\x08") == b"opendmux"


@pytest.mark.parametrize("algo", [EncAlgo.AES_ECB, EncAlgo.AES_CBC])
@pytest.mark.parametrize("tail", [b"\0", b"\x11", b"\xff", b"\x01\x02", b"\x03\x02\x03"])
def test_a_padding_that_is_not_pkcs7(algo: EncAlgo, tail: bytes) -> None:
    block = (b"a" * 16 + tail)[-16:]
    if algo is EncAlgo.AES_CBC:
        block = bytes(a ^ b for a, b in zip(block, IV.encode(), strict=True))
    sealed = encrypt(EncAlgo.FTAES_ECB, block)[:16]
    with pytest.raises(RemoteProtocolError, match="not PKCS#7"):
        cipher_of(algo).decrypt_untrusted(sealed)


@pytest.mark.parametrize("algo", EncAlgo)
@DETERMINISTIC
@given(data=st.binary(max_size=100) | st.integers(0, 6).flatmap(lambda n: st.binary(min_size=16 * n, max_size=16 * n)))
def test_hostile_bodies(algo: EncAlgo, data: bytes) -> None:
    try:
        plain = cipher_of(algo).decrypt_untrusted(data)
    except RemoteProtocolError:
        return
    assert len(plain) <= len(data)


@pytest.mark.parametrize(
    ("algo", "key", "iv", "text"),
    [
        (EncAlgo.AES_CBC, KEY, None, "aesCBCiv has 0 bytes, not 16"),
        (EncAlgo.AES_CBC, KEY, IV[1:], "aesCBCiv has 15 bytes, not 16"),
        (EncAlgo.FTAES_ECB, KEY + "0", None, "connAESKey has 17 bytes, not 16"),
        (EncAlgo.AES_ECB, "é" * 16, "", "connAESKey has 32 bytes, not 16"),
    ],
)
def test_keys_of_a_wrong_length(algo: EncAlgo, key: str, iv: str | None, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        PacketCipher(algo, key, iv)


def test_a_key_is_its_bytes_in_utf8() -> None:
    assert PacketCipher(EncAlgo.AES_CBC, "é" * 8, "ü" * 8).encrypt(b"")


# -- which algorithm, which key


@pytest.mark.parametrize("asked", [None, -1, 0, 1, 2, 3])
def test_nothing_is_encrypted_without_rsa(asked: int | None) -> None:
    assert pick_algo_untrusted(asked, rsa=False) is EncAlgo.NONE


def test_what_was_asked_for_is_picked() -> None:
    assert [pick_algo_untrusted(asked, rsa=True) for asked in (-1, 0, 1, 2)] == list(EncAlgo)
    assert pick_algo_untrusted(None, rsa=True) is EncAlgo.FTAES_ECB
    with pytest.raises(RemoteProtocolError, match="unknown packetEncAlgo 3"):
        pick_algo_untrusted(3, rsa=True)


@pytest.mark.parametrize("algo", EncAlgo)
def test_secrets_for_a_connection(algo: EncAlgo) -> None:
    secrets = conn_secrets(algo, bytes(range(RANDOM_BYTES)))
    assert secrets.aes_key == "AAECAwQFBgcICQoL"
    assert secrets.aes_cbc_iv == {EncAlgo.AES_CBC: "DA0ODxAREhMUFRYX", EncAlgo.AES_ECB: ""}.get(algo)
    assert secrets.aes_key not in repr(secrets)
    PacketCipher(algo, secrets.aes_key, secrets.aes_cbc_iv)


@DETERMINISTIC
@given(random=st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_secrets_are_printable_and_lose_nothing(random: bytes) -> None:
    secrets = conn_secrets(EncAlgo.AES_CBC, random)
    assert secrets.aes_cbc_iv is not None
    both = secrets.aes_key + secrets.aes_cbc_iv
    assert both.isascii()
    assert both.isprintable()
    assert len(secrets.aes_key) == len(secrets.aes_cbc_iv) == 16


@pytest.mark.parametrize("count", [0, RANDOM_BYTES - 1, RANDOM_BYTES + 1])
def test_secrets_need_their_random_bytes(count: int) -> None:
    with pytest.raises(ValueError, match=f"not {count}"):
        conn_secrets(EncAlgo.AES_CBC, bytes(count))


# -- RSA


@pytest.mark.parametrize("length", [0, 1, 31, 99, 100, 101, 200, 1000])
def test_rsa_by_arithmetic(length: int) -> None:
    plain = bytes(i * 5 % 256 for i in range(length))
    sealed = RSA.encrypt(plain)
    assert len(sealed) == (length + 99) // 100 * 128
    assert OURS.decrypt(sealed) == plain
    assert RSA.decrypt_untrusted(OURS.encrypt(plain)) == plain


@pytest.mark.parametrize("bits", [1031, 2048])
def test_rsa_keys_of_other_sizes(bits: int) -> None:
    key = RsaKey(rsa.generate_private_key(65537, bits))
    assert (key.bits, key.piece_len) == (bits, (bits + 7) // 8)
    assert key.decrypt_untrusted(key.encrypt(b"x" * 250)) == b"x" * 250


def test_rsa_text_of_another_key_is_no_plaintext() -> None:
    for piece in range(20):
        plain = b"InitConnect %d" % piece
        try:
            assert RSA.decrypt_untrusted(THEIRS.encrypt(plain)) != plain
        except RemoteProtocolError:
            continue


@pytest.mark.parametrize("length", [1, 127, 129, 255])
def test_rsa_text_of_a_wrong_length(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"{length} bytes are not made with an RSA key of 1024 bits"):
        RSA.decrypt_untrusted(bytes(length))


def test_rsa_work_is_bounded() -> None:
    RSA.decrypt_untrusted(OURS.encrypt(bytes(100 * RSA_PIECES_MAX)))
    with pytest.raises(RemoteProtocolError, match="17 pieces of RSA are over the limit of 16"):
        RSA.decrypt_untrusted(bytes(128 * (RSA_PIECES_MAX + 1)))


def test_rsa_number_that_the_key_cannot_have() -> None:
    with pytest.raises(RemoteProtocolError, match="not made with this RSA key"):
        RSA.decrypt_untrusted(b"\xff" * 128)


@DETERMINISTIC
@given(data=st.binary(max_size=130) | st.binary(min_size=128, max_size=128) | st.binary(min_size=256, max_size=256))
def test_hostile_rsa_text(data: bytes) -> None:
    try:
        plain = RSA.decrypt_untrusted(data)
    except RemoteProtocolError:
        return
    assert len(plain) <= len(data)


# -- key files


@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
def test_a_key_file(form: PrivateFormat, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(OURS.pem(form))
    for key in (RsaKey.load(path), RsaKey.load(str(path))):
        assert key.decrypt_untrusted(OURS.encrypt(b"InitConnect")) == b"InitConnect"
        assert (key.bits, key.piece_len) == (1024, 128)


OURS_KEY = OURS.private_key()
BAD_FILES = {
    "passphrase, PKCS#1": (
        OURS_KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")),
        "can't be used: it needs a passphrase; OpenD and its clients take keys without one",
    ),
    "passphrase, PKCS#8": (
        OURS_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        "can't be used: it needs a passphrase; OpenD and its clients take keys without one",
    ),
    "elliptic": (
        ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "can't be used: it holds a private key of another kind than RSA",
    ),
    "512 bits": (SMALL.pem(), "can't be used: the key in it has 512 bits, and at least 1024 are needed"),
    "public": (
        OURS_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "can't be used: it holds a public key, and the private one is needed",
    ),
    "OpenSSH": (
        OURS_KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        "can't be used: it is in the format of OpenSSH; 'ssh-keygen -p -m PEM' makes it PEM",
    ),
    "cut": (OURS.pem()[:300], "can't be used: the private key in it is damaged"),
    "DER": (
        OURS_KEY.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        "can't be used: it holds no private key in PEM form (-----BEGIN RSA PRIVATE KEY-----)",
    ),
    "empty": (b"", "can't be used: it holds no private key in PEM form (-----BEGIN RSA PRIVATE KEY-----)"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_file_that_cannot_be_used(kind: str, tmp_path: Path) -> None:
    content, text = BAD_FILES[kind]
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        RsaKey.load(path)
    assert str(caught.value) == f"the RSA key file {path} {text}"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.pem", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError) as caught:
            RsaKey.load(path)
        assert str(caught.value) == f"the RSA key file {path} can't be read: {reason}"


def test_a_file_without_end_is_not_read_to_the_end() -> None:
    with pytest.raises(ConfigError, match="holds no private key"):
        RsaKey.load("/dev/zero")


def test_the_library_is_loaded_when_it_is_needed() -> None:
    program = "import sys, opendmux.wire.secure; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
