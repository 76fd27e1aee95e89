"""The same bodies by another library: the one that the official SDK uses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.wire.cipher import EncAlgo, PacketCipher

from .secure_kit import DETERMINISTIC, IV, IV_OF, KEY, OURS, RSA

pytest.importorskip("Crypto", reason="pycryptodome comes with the official SDK, which is in the extra 'sdk'")

from Crypto.Cipher import AES, PKCS1_v1_5
from Crypto.PublicKey import RSA as OTHER_RSA
from Crypto.Util.Padding import pad

THEIR_RSA = PKCS1_v1_5.new(OTHER_RSA.import_key(OURS.pem()))


def their_encrypt(algo: EncAlgo, body: bytes) -> bytes:
    if algo is EncAlgo.AES_CBC:
        return AES.new(KEY.encode(), AES.MODE_CBC, iv=IV.encode()).encrypt(pad(body, 16))
    ecb = AES.new(KEY.encode(), AES.MODE_ECB)
    if algo is EncAlgo.AES_ECB:
        return ecb.encrypt(pad(body, 16))
    if algo is EncAlgo.FTAES_ECB:
        return ecb.encrypt(body + bytes(-len(body) % 16)) + bytes(15) + bytes([len(body) % 16])
    return body


@pytest.mark.parametrize("algo", EncAlgo)
@DETERMINISTIC
@given(bodies=st.lists(st.binary(max_size=200), max_size=4))
def test_aes(algo: EncAlgo, bodies: list[bytes]) -> None:
    cipher = PacketCipher(algo, KEY, IV_OF[algo])
    for body in bodies:
        sealed = their_encrypt(algo, body)
        assert cipher.encrypt(body) == sealed
        assert cipher.decrypt_untrusted(sealed) == body


@pytest.mark.parametrize("length", [1, 31, 100, 250])
def test_rsa(length: int) -> None:
    body = bytes(i * 3 % 256 for i in range(length))
    pieces = [body[at : at + 100] for at in range(0, length, 100)]
    assert RSA.decrypt_untrusted(b"".join(THEIR_RSA.encrypt(piece) for piece in pieces)) == body
    sealed = RSA.encrypt(body)
    assert b"".join(THEIR_RSA.decrypt(sealed[at : at + 128], b"bad") for at in range(0, len(sealed), 128)) == body
