"""What the tests of the encryption compare with, made without it: RSA by arithmetic, AES with one context per body."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import settings

from opendmux.wire.cipher import EncAlgo, RsaKey
from opendmux.wire.pb import opend
from opendmux.wire.secure import ServerSide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from google.protobuf.message import Message

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=100)

INIT, KEEP_ALIVE, GLOBAL_STATE, QUOTE_PUSH = 1001, 1004, 1002, 3005
KEY, IV = "0123456789abcdef", "fedcba9876543210"


# -- RSA


@dataclass(frozen=True)
class Primes:
    """A key as two numbers."""

    p: int
    q: int

    @property
    def n(self) -> int:
        return self.p * self.q

    @property
    def d(self) -> int:
        return pow(65537, -1, (self.p - 1) * (self.q - 1))

    @property
    def piece_len(self) -> int:
        return (self.n.bit_length() + 7) // 8

    def private_key(self) -> rsa.RSAPrivateKey:
        p, q, d = self.p, self.q, self.d
        public = rsa.RSAPublicNumbers(65537, p * q)
        return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), rsa.rsa_crt_iqmp(p, q), public).private_key()

    def pem(self, form: PrivateFormat = PrivateFormat.TraditionalOpenSSL) -> bytes:
        return self.private_key().private_bytes(Encoding.PEM, form, NoEncryption())

    def encrypt(self, plain: bytes) -> bytes:
        """Pieces of 100 bytes: 00 02 | at least 8 bytes that are not zero | 00 | piece, to the power of 65537."""
        out = b""
        for at in range(0, len(plain), 100):
            piece = plain[at : at + 100]
            padded = b"\0\2" + b"\x5a" * (self.piece_len - 3 - len(piece)) + b"\0" + piece
            out += pow(int.from_bytes(padded, "big"), 65537, self.n).to_bytes(self.piece_len, "big")
        return out

    def decrypt(self, data: bytes) -> bytes:
        out = b""
        for at in range(0, len(data), self.piece_len):
            number = int.from_bytes(data[at : at + self.piece_len], "big")
            padded = pow(number, self.d, self.n).to_bytes(self.piece_len, "big")
            assert padded[:2] == b"\0\2"
            out += padded[padded.index(b"\0", 2) + 1 :]
        return out


OURS = Primes(
    0xF6D039C68E8C79379EE6ED816771161AF1639412FB721022D38FB0A1782706D222B272F859114AE58A19D4EE91BE952FDB55F7E50FCB3B4139AD10253AB0DE43,
    0xE3E1153FBA2F21C6F8E8D38F4B33A74111D0D7E1F372E517D8E3EEEAD390307B2AB2CFD86BAA71297687CE5518B0181DA57E5E35528A9A1C7391A163F927CB37,
)
THEIRS = Primes(
    0xEFED2787A9A2A21D8322A88F2F2F934FD528E9C98090A39F71A7CDC138C08F783DF8A81D496783D5827180C5FD4F3E94806F904A7125DF80380C6FB7AEBD871B,
    0xD16A13F33FAAB4A34EF47B5E561A51DD77141BA493F66DCE19522EA737D78F28122E963C02AFAB07059742AC36111E565978D0118CA61B4E4E87544A27CE968B,
)
SMALL = Primes(
    0xA01D0A01C434469C1FB35A57F34A576B050EC6760A29B0C3BED070D29C5868BD,
    0xF3D8E8A873228364E33D04D21EEBE8A3E5C15620FA83A226281014F05B1E8AF9,
)
"""512 bits: OpenD's documents allow it, its pieces do not."""

RSA = RsaKey(OURS.private_key())


# -- AES


def _aes(mode: modes.ECB | modes.CBC, data: bytes, *, encrypt: bool) -> bytes:
    cipher: Cipher[Any] = Cipher(algorithms.AES(KEY.encode()), mode)
    context = cipher.encryptor() if encrypt else cipher.decryptor()
    return context.update(data) + context.finalize()


def _pkcs7(body: bytes) -> bytes:
    count = 16 - len(body) % 16
    return body + bytes([count] * count)


def encrypt(algo: EncAlgo, body: bytes) -> bytes:
    if algo is EncAlgo.FTAES_ECB:
        zeros = -len(body) % 16
        return _aes(modes.ECB(), body + bytes(zeros), encrypt=True) + bytes([*bytes(15), len(body) % 16])
    if algo is EncAlgo.AES_ECB:
        return _aes(modes.ECB(), _pkcs7(body), encrypt=True)
    if algo is EncAlgo.AES_CBC:
        return _aes(modes.CBC(IV.encode()), _pkcs7(body), encrypt=True)
    return body


def decrypt(algo: EncAlgo, data: bytes) -> bytes:
    if algo is EncAlgo.FTAES_ECB:
        plain = _aes(modes.ECB(), data[:-16], encrypt=False)
        return plain[: len(plain) - 16 + data[-1]] if data[-1] else plain
    if algo is EncAlgo.NONE:
        return data
    mode = modes.ECB() if algo is EncAlgo.AES_ECB else modes.CBC(IV.encode())
    plain = _aes(mode, data, encrypt=False)
    return plain[: -plain[-1]]


# -- frames


def frame(
    proto_id: int,
    body: bytes,
    seal: Callable[[bytes], bytes] = bytes,
    *,
    sha1: bytes | None = None,
    proto_fmt: int = 0,
    serial_no: int = 7,
    proto_ver: int = 0,
    reserved: bytes = b"",
) -> bytes:
    """A frame whose body goes through ``seal`` and whose digest is that of the plaintext."""
    digest = hashlib.sha1(body).digest() if sha1 is None else sha1
    sealed = seal(body)
    fields = (b"FT", proto_id, proto_fmt, proto_ver, serial_no, len(sealed), digest, reserved)
    return struct.pack("<2sIBBII20s8s", *fields) + sealed


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    at = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(at)]


def split(stream: bytes) -> list[tuple[bytes, bytes]]:
    """Whole frames as (header, body)."""
    frames = []
    while stream:
        (length,) = struct.unpack_from("<I", stream, 12)
        assert stream[:2] == b"FT"
        assert len(stream) >= 44 + length
        frames.append((stream[:44], stream[44 : 44 + length]))
        stream = stream[44 + length :]
    return frames


def serialized(message: Message) -> bytes:
    return message.SerializeToString()


def hello(algo: int | None) -> bytes:
    """An InitConnect that asks for this packetEncAlgo; None: says nothing of it."""
    c2s = opend.InitConnectC2S(clientVer=300, clientID="test", recvNotify=True, programmingLanguage="Python")
    if algo is not None:
        c2s.packetEncAlgo = algo
    return serialized(opend.InitConnectRequest(c2s=c2s))


def hello_reply(key: str = KEY, iv: str | None = None, *, ret_type: int = 0) -> bytes:
    s2c = opend.InitConnectS2C(serverVer=1011, loginUserID=7, connID=2**63 - 1, connAESKey=key, keepAliveInterval=10)
    if iv is not None:
        s2c.aesCBCiv = iv
    return serialized(opend.InitConnectResponse(retType=ret_type, s2c=s2c))


IV_OF = {EncAlgo.FTAES_ECB: None, EncAlgo.AES_ECB: "", EncAlgo.AES_CBC: IV, EncAlgo.NONE: None}
"""aesCBCiv as the reply has it for each algorithm."""
AES = [EncAlgo.FTAES_ECB, EncAlgo.AES_ECB, EncAlgo.AES_CBC]


# -- connections

MAX_BODY = 3000
HEADER_LEN = 44
HELD_MAX = HEADER_LEN + MAX_BODY + 31


def by(algo: EncAlgo) -> Callable[[bytes], bytes]:
    return lambda body: encrypt(algo, body)


def is_damaged(header: bytes, body: bytes) -> bool:
    return hashlib.sha1(body).digest() != header[16:36]


def new_server() -> ServerSide:
    return ServerSide(RSA, MAX_BODY)


def encrypted(algo: EncAlgo) -> ServerSide:
    """A connection whose InitConnect has been read and answered."""
    server = new_server()
    server.receive_untrusted(frame(INIT, hello(algo), OURS.encrypt))
    server.use(algo, KEY, IV_OF[algo])
    server.seal(frame(INIT, hello_reply(iv=IV_OF[algo])))
    return server
