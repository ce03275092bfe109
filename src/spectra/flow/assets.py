"""Asset sets: the normalised records of one submission between two workflow steps, as bytes in the blob store.

A zstd stream of msgpack values, alternately the kind of a record (an index into `_KINDS`) and the record.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import msgspec
import zstandard

from spectra.errors import Corrupt
from spectra.model.observation import HostSeen, NameSeen, Silent, Swept

Asset = HostSeen | NameSeen | Silent | Swept

_KINDS: tuple[type[Asset], ...] = (HostSeen, NameSeen, Silent, Swept)
_LENGTH = 4  # bytes of the big-endian length before each record


def pack(records: Iterable[Asset], salt: bytes) -> bytes:
    """The bytes of an asset set. `salt` (an observation id) makes equal sets of two submissions two blobs."""
    encoder = msgspec.msgpack.Encoder()
    buffer = io.BytesIO()
    with zstandard.ZstdCompressor(level=1).stream_writer(buffer, closefd=False) as out:
        out.write(len(salt).to_bytes(_LENGTH) + salt)
        for record in records:
            body = encoder.encode(record)
            out.write(bytes([_KINDS.index(type(record))]) + len(body).to_bytes(_LENGTH) + body)
    return buffer.getvalue()


def unpack(data: bytes) -> Iterator[Asset]:
    """The records of an asset set, one at a time; raises `Corrupt`."""
    decoders = [msgspec.msgpack.Decoder(kind) for kind in _KINDS]
    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as stream:
            reader = io.BufferedReader(stream, 1 << 16)  # type: ignore[arg-type]
            reader.read(int.from_bytes(reader.read(_LENGTH)))
            while head := reader.read(1 + _LENGTH):
                yield decoders[head[0]].decode(reader.read(int.from_bytes(head[1:])))
    except (zstandard.ZstdError, msgspec.MsgspecError, IndexError) as error:
        raise Corrupt("An asset set cannot be read back.", reason="asset_set_corrupt") from error
