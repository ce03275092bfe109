"""Asset sets: the normalised records of one submission between two workflow steps, as bytes in the blob store.

One zstd frame with its checksum. In it: a salt with its length before it, then for each record its kind (an index into
`_KINDS`), its length and its msgpack form, and at last `_END` with the number of records, so that a cut set is no set.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import msgspec
import zstandard

from spectra.errors import Corrupt
from spectra.model.facts import HostFacts
from spectra.model.observation import HostSeen, NameSeen, Silent, Swept

Asset = HostSeen | NameSeen | Silent | Swept | HostFacts

_KINDS: tuple[type[Asset], ...] = (HostSeen, NameSeen, Silent, Swept, HostFacts)
_END = 0xFF
_LENGTH = 4  # bytes of each big-endian length


def pack(records: Iterable[Asset], salt: bytes) -> bytes:
    """The bytes of an asset set. `salt` (an observation id) makes equal sets of two submissions two blobs."""
    encoder = msgspec.msgpack.Encoder()
    buffer = io.BytesIO()
    count = 0
    with zstandard.ZstdCompressor(level=1, write_checksum=True).stream_writer(buffer, closefd=False) as out:
        out.write(len(salt).to_bytes(_LENGTH) + salt)
        for record in records:
            body = encoder.encode(record)
            out.write(bytes([_KINDS.index(type(record))]) + len(body).to_bytes(_LENGTH) + body)
            count += 1
        out.write(bytes([_END]) + count.to_bytes(_LENGTH))
    return buffer.getvalue()


def unpack(data: bytes) -> Iterator[Asset]:
    """The records of an asset set, one at a time; raises `Corrupt`, at the latest at its end."""
    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as stream:
            yield from _records(io.BufferedReader(stream, 1 << 16))  # type: ignore[arg-type]
    except (zstandard.ZstdError, msgspec.MsgspecError, ValueError, IndexError) as error:
        raise Corrupt("An asset set cannot be read back.", reason="asset_set_corrupt") from error


def _records(reader: io.BufferedReader) -> Iterator[Asset]:
    decoders = [msgspec.msgpack.Decoder(kind) for kind in _KINDS]
    reader.read(int.from_bytes(reader.read(_LENGTH)))
    count = 0
    while (head := reader.read(1 + _LENGTH))[0] != _END:
        yield decoders[head[0]].decode(reader.read(int.from_bytes(head[1:])))
        count += 1
    # Reading on to the end of the frame is what checks its checksum.
    if head[1:] != count.to_bytes(_LENGTH) or reader.read(1):
        raise ValueError("the set does not end where it should")
