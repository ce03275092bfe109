"""Ids and digests cover all they stand for, and addresses have one spelling."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_network
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.model.observation import Certificate, Evidence
from spectra.store.database import Database, one
from spectra.store.rows import (
    Digest,
    NameSightingRow,
    SilenceRow,
    canonical_ip,
    claim_id,
    content_id,
    letter,
    packed_port,
    remark_id,
)
from tests.store.scribe import T0

rows = st.builds(SilenceRow, st.sampled_from(["10.0.0.0/8", "::/0"]), st.just(T0)) | st.builds(
    NameSightingRow, st.text(max_size=5), st.just(T0), st.lists(st.text(max_size=3), max_size=2)
)


@given(st.lists(rows), st.randoms())
def test_a_digest_is_of_a_set(some: list[msgspec.Struct], random: Random) -> None:
    """Rows may come in any order and in any number of calls."""
    whole, pieces = Digest(), Digest()
    whole.add(some)
    mixed = list(some)
    random.shuffle(mixed)
    for row in mixed:
        pieces.add([row])
    assert whole.hexdigest() == pieces.hexdigest()
    assert bool(whole) == bool(some)


@given(st.lists(rows, min_size=1))
def test_a_digest_is_the_hash_of_the_sorted_hashes(some: list[msgspec.Struct]) -> None:
    """However it is kept meanwhile: the chain has digests of years ago."""
    digest = Digest()
    digest.add(some)
    hashes = sorted(hashlib.sha256(msgspec.json.encode(row)).digest() for row in some)
    assert digest.hexdigest() == hashlib.sha256(b"".join(hashes)).hexdigest()


@given(st.lists(rows, min_size=1))
def test_a_digest_sees_every_row(some: list[msgspec.Struct]) -> None:
    """One row less, or one twice, is another digest."""
    digests: set[str] = set()
    for variant in (some, some[1:], [*some, some[0]]):
        digest = Digest()
        digest.add(variant)
        digests.add(digest.hexdigest())
    assert len(digests) == 3


REMARK = Evidence("nse:http-title", "data", "key", "high")
CERTIFICATE = Certificate("ab" * 32, "cn", "subject", "issuer", ("a", "b"), T0, T0 + timedelta(1), "01", "rsa 2048")


@pytest.mark.parametrize("field", msgspec.structs.fields(Evidence), ids=lambda field: field.name)
def test_a_remark_is_addressed_by_all_it_says(field: msgspec.structs.FieldInfo) -> None:
    """Two that differ in any field are two."""
    other = msgspec.structs.replace(REMARK, **{field.name: "other"})
    assert remark_id(other) != remark_id(REMARK)
    assert remark_id(msgspec.structs.replace(REMARK)) == remark_id(REMARK)


@pytest.mark.parametrize("field", msgspec.structs.fields(Certificate), ids=lambda field: field.name)
def test_a_claim_covers_all_that_was_said(field: msgspec.structs.FieldInfo) -> None:
    """What a tool said of a certificate, in every field."""
    value = T0 + timedelta(7) if field.name.startswith("not_") else ("c",) if field.name == "sans" else "cd" * 32
    assert claim_id(msgspec.structs.replace(CERTIFICATE, **{field.name: value})) != claim_id(CERTIFICATE)


def test_an_id_is_half_a_hash() -> None:
    """The first 16 bytes, which are a uuid, as 32 hex digits."""
    assert content_id(bytes(range(32))) == bytes(range(16)).hex()


def test_protocol_and_port_share_an_int() -> None:
    """tcp/443 is 6 << 16 | 443; states are one letter."""
    assert packed_port("tcp", 443) == 6 * 65536 + 443
    assert [letter(state) for state in ("open", "closed", "filtered")] == ["o", "c", "f"]


# Where the two notations differ: addresses with an IPv4 one in their last 32 bits.
awkward = st.integers(0, 2**32 - 1).flatmap(lambda low: st.sampled_from([low, low | 0xFFFF << 32]).map(IPv6Address))
addresses = st.ip_addresses() | awkward


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(addresses, min_size=1, max_size=20))
def test_addresses_are_spelled_as_python_does(database: Database, some: list[IPv4Address | IPv6Address]) -> None:
    """What PostgreSQL writes reads as `ipaddress` writes it, for addresses and networks."""
    with database.connection() as connection:
        for address in some:
            net = ip_network((address, 24 if address.version == 4 else 112), strict=False)
            row = one(connection.execute("SELECT host(%s::inet), %s::cidr::text", [str(address), str(net)]))
            assert tuple(map(canonical_ip, row)) == (str(address), str(net))
