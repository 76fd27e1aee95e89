"""Encryption of bodies: RSA for InitConnect, AES for everything after it. Frames are the affair of `secure`.

Theory of operation of AES_CBC. OpenD restarts the chain at the same IV for every body, and a new OpenSSL context per
body costs several times the encryption of a small one. So each direction keeps one context for the life of the
connection and brings its chain back to the IV with one extra block, whose output is thrown away:

- decryption: a CBC decryptor's chain is the last ciphertext block it was given, so it is given the IV;
- encryption: the chain is the last block it made, so it is made to make the IV: E(x ^ last) == IV for x = D(IV) ^ last.

The ECB modes have no chain. No context ever sees a part of a block: lengths are checked first.
"""

from __future__ import annotations

import base64
import enum
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, final

from opendmux.errors import ConfigError, RemoteProtocolError

if TYPE_CHECKING:
    import os

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.ciphers import CipherContext

__all__ = [
    "KEY_LEN",
    "PADDING_MAX",
    "RANDOM_BYTES",
    "RSA_PIECES_MAX",
    "RSA_PIECE_LEN",
    "ConnSecrets",
    "EncAlgo",
    "PacketCipher",
    "RsaKey",
    "conn_secrets",
    "pick_algo_untrusted",
]

KEY_LEN: Final = 16
"""connAESKey and aesCBCiv, in characters and in UTF-8 bytes."""

PADDING_MAX: Final = 31
"""An AES body is longer than its plaintext by at most so much: FTAES_ECB pads up to 15 bytes and adds a block of 16."""

RSA_PIECE_LEN: Final = 100
"""Plaintext bytes per RSA operation; fixed by the protocol for keys of every size."""

RSA_PIECES_MAX: Final = 16
"""A stranger may make us do so many private operations by one frame, at some 0.1 ms with 1024 bits. 1,600 bytes of
plaintext are plenty: an InitConnect has 31 to 52 bytes in protobuf and some 200 in JSON."""

RANDOM_BYTES: Final = 24
"""What `conn_secrets` turns into a key and an IV: 12 bytes are 16 characters of base64."""

_RSA_BITS_MIN: Final = 1024
"""The size that OpenD asks for. Its documents allow 512 bits too, which can't hold a piece."""
_KEY_FILE_MAX: Final = 64 * 1024
"""Bytes read of a key file; one of 16,384 bits has 13 kB."""

_BLOCK: Final = 16
_FTAES_TAILS: Final = tuple(bytes([*bytes(15), rest]) for rest in range(_BLOCK))
_PKCS7: Final = tuple(bytes([n]) * n for n in range(_BLOCK + 1))


class EncAlgo(enum.IntEnum):
    """packetEncAlgo of InitConnect (Common.PacketEncAlgo)."""

    NONE = -1
    FTAES_ECB = 0
    """ECB; zero padding; behind it a block in the clear whose last byte is the length of the plaintext modulo 16."""
    AES_ECB = 1
    """ECB with PKCS#7. No official client asks for it; the Python SDK reads it."""
    AES_CBC = 2
    """CBC with PKCS#7 and the same IV for every body of both directions."""


@dataclass(frozen=True, slots=True, repr=False)
class ConnSecrets:
    """What the InitConnect reply tells the client. The repr shows nothing of it."""

    aes_key: str
    """connAESKey; a required field, also where nothing is encrypted."""
    aes_cbc_iv: str | None
    """aesCBCiv. None: leave the field out. Empty: write it empty, which is how clients tell AES_ECB from FTAES_ECB."""


def pick_algo_untrusted(asked: int | None, *, rsa: bool) -> EncAlgo:
    """What a server uses for a client that sent this packetEncAlgo (None: the field was absent).

    ``rsa``: the InitConnect was encrypted; otherwise nothing else is either. Raises RemoteProtocolError for a number
    nobody knows.
    """
    if not rsa:
        return EncAlgo.NONE
    if asked is None:
        return EncAlgo.FTAES_ECB
    try:
        return EncAlgo(asked)
    except ValueError:
        raise RemoteProtocolError(f"InitConnect asks for the unknown packetEncAlgo {asked}") from None


def conn_secrets(algo: EncAlgo, random: bytes) -> ConnSecrets:
    """Key and IV for one connection from RANDOM_BYTES secret random bytes. ValueError for another number of bytes."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"{RANDOM_BYTES} random bytes are needed, not {len(random)}")
    text = base64.b64encode(random).decode("ascii")
    iv = {EncAlgo.AES_CBC: text[KEY_LEN:], EncAlgo.AES_ECB: ""}.get(algo)
    return ConnSecrets(text[:KEY_LEN], iv)


@final
class RsaKey:
    """The private key that OpenD and its clients share; each side encrypts with the public half, PKCS#1 v1.5."""

    def __init__(self, private_key: RSAPrivateKey) -> None:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

        self._private = private_key
        self._public = private_key.public_key()
        self._padding = PKCS1v15()
        self.bits = private_key.key_size
        """The Python SDK reads replies of 1024-bit keys only."""
        self.piece_len = (self.bits + 7) // 8
        """Ciphertext bytes per piece."""

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a PEM file: PKCS#1 or PKCS#8, 1024 bits or more, no passphrase. ConfigError for anything else."""
        try:
            with Path(path).open("rb") as file:
                pem = file.read(_KEY_FILE_MAX)
            return cls(_private_key(pem))
        except OSError as error:
            raise ConfigError(f"the RSA key file {path} can't be read: {error.strerror or error}") from error
        except ValueError as error:
            raise ConfigError(f"the RSA key file {path} can't be used: {error}") from error

    def encrypt(self, plain: bytes) -> bytes:
        """Any length; nothing becomes nothing."""
        pieces = range(0, len(plain), RSA_PIECE_LEN)
        return b"".join(self._public.encrypt(plain[at : at + RSA_PIECE_LEN], self._padding) for at in pieces)

    def decrypt_untrusted(self, data: bytes) -> bytes:
        """The plaintext, when ``data`` was made with this key.

        **Otherwise mostly random bytes, without an error**: compare a digest. Raises RemoteProtocolError for a length
        that is not a multiple of `piece_len` or is more than RSA_PIECES_MAX pieces, and for numbers the key can't have.
        """
        count, rest = divmod(len(data), self.piece_len)
        if rest:
            raise RemoteProtocolError(f"{len(data)} bytes are not made with an RSA key of {self.bits} bits")
        if count > RSA_PIECES_MAX:
            raise RemoteProtocolError(f"{count} pieces of RSA are over the limit of {RSA_PIECES_MAX}")
        pieces = range(0, len(data), self.piece_len)
        try:
            return b"".join(self._private.decrypt(data[at : at + self.piece_len], self._padding) for at in pieces)
        except ValueError as error:
            raise RemoteProtocolError(f"the bytes are not made with this RSA key of {self.bits} bits") from error


def _private_key(pem: bytes) -> RSAPrivateKey:
    """Raises ValueError, with a text for the user, for everything that is not a usable key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise ValueError("it needs a passphrase; OpenD and its clients take keys without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(_why_not(pem)) from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("it holds a private key of another kind than RSA")
    if key.key_size < _RSA_BITS_MIN:
        raise ValueError(f"the key in it has {key.key_size} bits, and at least {_RSA_BITS_MIN} are needed")
    return key


def _why_not(pem: bytes) -> str:
    if b"OPENSSH PRIVATE KEY" in pem:
        return "it is in the format of OpenSSH; 'ssh-keygen -p -m PEM' makes it PEM"
    if b"PUBLIC KEY" in pem or b"CERTIFICATE" in pem:
        return "it holds a public key, and the private one is needed"
    if b"PRIVATE KEY-----" in pem:
        return "the private key in it is damaged"
    return "it holds no private key in PEM form (-----BEGIN RSA PRIVATE KEY-----)"


# Before Python 3.12 a member looked up through its class costs as much as the encryption of a small body.
_NONE: Final = EncAlgo.NONE
_FTAES_ECB: Final = EncAlgo.FTAES_ECB
_AES_ECB: Final = EncAlgo.AES_ECB
_AES_CBC: Final = EncAlgo.AES_CBC


@final
class PacketCipher:
    """The bodies of one connection after InitConnect, both directions. Not for several threads."""

    def __init__(self, algo: EncAlgo, key16: str, iv16: str | None) -> None:
        """``key16``, and ``iv16`` for AES_CBC: 16 bytes in UTF-8, or ValueError; not looked at where not used."""
        self._algo = algo
        if algo is _NONE:
            return
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        aes = algorithms.AES(_sixteen("connAESKey", key16))
        ecb: Cipher[modes.ECB] = Cipher(aes, modes.ECB())  # noqa: S305 - the protocol's modes
        self._encryptor: CipherContext = ecb.encryptor()
        self._decryptor: CipherContext = ecb.decryptor()
        if algo is _AES_CBC:
            self._iv = _sixteen("aesCBCiv", iv16 or "")
            self._iv_decrypted = int.from_bytes(self._decryptor.update(self._iv), "big")
            self._last_block = self._iv
            cbc = Cipher(aes, modes.CBC(self._iv))
            self._encryptor = cbc.encryptor()
            self._decryptor = cbc.decryptor()

    def encrypt(self, body: bytes) -> bytes:
        """The body as it goes onto the wire, at most PADDING_MAX bytes longer."""
        if self._algo is _AES_CBC:
            to_iv = (self._iv_decrypted ^ int.from_bytes(self._last_block, "big")).to_bytes(_BLOCK, "big")
            sealed = self._encryptor.update(to_iv + body + _PKCS7[_BLOCK - len(body) % _BLOCK])
            self._last_block = sealed[-_BLOCK:]
            return sealed[_BLOCK:]
        if self._algo is _FTAES_ECB:
            rest = len(body) % _BLOCK
            padded = body + bytes(_BLOCK - rest) if rest else body
            return self._encryptor.update(padded) + _FTAES_TAILS[rest]
        if self._algo is _AES_ECB:
            return self._encryptor.update(body + _PKCS7[_BLOCK - len(body) % _BLOCK])
        return body

    def decrypt_untrusted(self, data: bytes) -> bytes:
        """The plaintext.

        Raises RemoteProtocolError for an impossible length or padding; bytes that were changed, or made with another
        key, may come out as something else without an error.
        """
        if self._algo is _NONE:
            return data
        if not data or len(data) % _BLOCK:
            raise RemoteProtocolError(f"{len(data)} bytes are not whole blocks of AES")
        if self._algo is _AES_CBC:
            return _without_pkcs7_untrusted(self._decryptor.update(self._iv + data)[_BLOCK:])
        if self._algo is _AES_ECB:
            return _without_pkcs7_untrusted(self._decryptor.update(data))
        rest = data[-1]
        if rest >= _BLOCK or (rest and len(data) == _BLOCK):
            raise RemoteProtocolError(f"a tail block of FTAES_ECB says {rest} behind {len(data) - _BLOCK} bytes")
        plain = self._decryptor.update(data[:-_BLOCK])
        return plain[: rest - _BLOCK] if rest else plain


def _sixteen(name: str, text: str) -> bytes:
    raw = text.encode()
    if len(raw) != KEY_LEN:
        raise ValueError(f"{name} has {len(raw)} bytes, not {KEY_LEN}")
    return raw


def _without_pkcs7_untrusted(padded: bytes) -> bytes:
    count = padded[-1]
    if not 1 <= count <= _BLOCK or not padded.endswith(_PKCS7[count]):
        raise RemoteProtocolError("the padding is not PKCS#7")
    return padded[:-count]
