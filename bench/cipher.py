"""What encryption costs on an encrypted client's connection: microseconds per frame, the best of several runs.

    python bench/cipher.py

"encrypt" and "decrypt" are the body alone; "receive" and "seal" are `ServerSide` with whole frames, one or 16 in a call
("receive" includes the SHA-1 of the plaintext). The last line is the work of one InitConnect.
"""

from __future__ import annotations

import platform
import timeit
from functools import partial
from typing import TYPE_CHECKING

import cryptography
from cryptography.hazmat.primitives.asymmetric import rsa

from opendmux.wire.cipher import EncAlgo, PacketCipher, RsaKey
from opendmux.wire.frame import build_frame
from opendmux.wire.handshake import init_request
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from opendmux.wire.secure import ClientSide, ServerSide

if TYPE_CHECKING:
    from collections.abc import Callable

KEY, IV = "0123456789abcdef", "fedcba9876543210"
IV_OF = {EncAlgo.AES_CBC: IV, EncAlgo.AES_ECB: ""}
SIZES = [100, 4096]
BATCH = 16
MAX_BODY = 1 << 20
RUNS = 60
RUN_S = 0.002
"""Aimed length of one run: long enough for the clock, short enough to fall between the neighbours' bursts."""
INIT = int(ProtoId.INIT_CONNECT)


def us(work: Callable[..., object], *args: object) -> float:
    timer = timeit.Timer(partial(work, *args))
    rounds = max(1, int(RUN_S / (timer.timeit(20) / 20)))
    return min(timer.repeat(RUNS, rounds)) / rounds * 1e6


def init_connect(algo: EncAlgo) -> bytes:
    return opend.InitConnectRequest(c2s=opend.InitConnectC2S(packetEncAlgo=algo)).SerializeToString()


def connected(rsa_key: RsaKey, algo: EncAlgo) -> tuple[ClientSide, ServerSide]:
    """Both ends of a connection after InitConnect."""
    client, server = ClientSide(rsa_key, MAX_BODY), ServerSide(rsa_key, MAX_BODY)
    server.receive_untrusted(client.seal(build_frame(INIT, 0, 1, init_connect(algo))))
    iv = IV_OF.get(algo)
    server.use(algo, KEY, iv)
    s2c = opend.InitConnectS2C(connAESKey=KEY)
    if iv is not None:
        s2c.aesCBCiv = iv
    reply = opend.InitConnectResponse(retType=0, s2c=s2c).SerializeToString()
    client.receive_untrusted(server.seal(build_frame(INIT, 0, 1, reply)))
    return client, server


def row(rsa_key: RsaKey, algo: EncAlgo, size: int) -> list[float]:
    body = bytes(i * 7 % 256 for i in range(size))
    cipher = PacketCipher(algo, KEY, IV_OF.get(algo))
    sealed = cipher.encrypt(body)
    times = [us(cipher.encrypt, body), us(cipher.decrypt_untrusted, sealed)]
    client, server = connected(rsa_key, algo)
    for count in (1, BATCH):
        plain = build_frame(int(ProtoId.QOT_UPDATE_BASIC_QOT), 0, 1, body) * count
        wire = client.seal(plain)
        if server.receive_untrusted(wire) != plain:
            raise SystemExit(f"{algo.name} does not come back as it was")
        times += [us(server.receive_untrusted, wire) / count, us(server.seal, plain) / count]
    return times


def main() -> None:
    rsa_key = RsaKey(rsa.generate_private_key(65537, 1024))
    print(f"{platform.machine()}, Python {platform.python_version()}, cryptography {cryptography.__version__}")
    columns = ["encrypt", "decrypt", "receive 1", "seal 1", f"receive {BATCH}", f"seal {BATCH}"]
    print("algorithm  bytes" + "".join(f"{name:>12}" for name in columns))
    for algo in (EncAlgo.FTAES_ECB, EncAlgo.AES_ECB, EncAlgo.AES_CBC):
        for size in SIZES:
            print(f"{algo.name:10}{size:6}" + "".join(f"{time:12.2f}" for time in row(rsa_key, algo, size)))
    init = build_frame(INIT, 0, 1, init_request())
    wire = ClientSide(rsa_key, MAX_BODY).seal(init)
    print(f"InitConnect: read {us(lambda: ServerSide(rsa_key, MAX_BODY).receive_untrusted(wire)):.0f}", end=", ")
    print(f"seal {us(lambda: ClientSide(rsa_key, MAX_BODY).seal(init)):.0f}", end=", ")
    print(f"a new AES_CBC key {us(PacketCipher, EncAlgo.AES_CBC, KEY, IV):.0f}")


if __name__ == "__main__":
    main()
