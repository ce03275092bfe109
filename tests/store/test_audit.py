"""What an auditor reads: each look at the store says nothing of a clean one, and names what is off in another."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from spectra.model.envelope import canonical, sha256_hex
from spectra.model.observation import Certificate, Evidence, HostSeen, NameSeen, ScanFacts, Silent, Swept
from spectra.store import audit, provenance
from spectra.store.database import Database
from spectra.store.provenance import Entry
from tests.store.scribe import T0, Scribe, Written, host, seen

pytestmark = pytest.mark.engine

FLAW = Evidence("kind", "data")
CERTIFICATE = Certificate("ab" * 32, "cn")
RECORDS: list[HostSeen | NameSeen | Silent | Swept] = [
    Swept("tcp", ((1, 100),)),
    host("192.0.2.1", T0, seen(22, "ssh", banner="hello", evidence=[FLAW]), names=["a.example"], rest="closed"),
    host("2001:db8::1", T0, seen(443, certificate=CERTIFICATE), os="Linux"),
    NameSeen("b.example", T0, (FLAW,)),
    Silent("198.51.100.1", T0),
]


@pytest.fixture
def written(database: Database, write: Scribe) -> Written:
    """Something of every kind, in two observations whose columns agree with their headers; the first."""
    first = write(RECORDS, facts=ScanFacts("nmap", started=T0))
    write([host("192.0.2.1", T0 + timedelta(hours=1), seen(22, "ssh", "OpenSSH"))])
    run(database, "UPDATE observation SET output_sha256 = decode(header::json -> 'output' ->> 'sha256', 'hex')")
    return first


def run(database: Database, statement: str, *values: Any) -> None:
    """Do something to a table."""
    with database.connection() as connection:
        assert connection.execute(statement.encode(), values).rowcount


LOOKS = {
    "content": audit.altered_content,
    "certificate": audit.altered_certificate,
    "name": audit.altered_name,
    "host": audit.altered_host,
    "log": audit.altered_log,
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.usefixtures("written")
def test_a_clean_store_has_nothing_to_name(database: Database, look: str) -> None:
    """Nor has an empty one."""
    assert LOOKS[look](database) == ""


ALTERED = {
    "UPDATE service SET product = 'x' WHERE product = ''": ("content", "service "),
    "DELETE FROM service": ("content", "service "),
    "UPDATE banner SET text = 'x'": ("content", "banner "),
    "DELETE FROM banner": ("content", "banner "),
    "UPDATE remark SET data = 'x'": ("content", "remark "),
    "DELETE FROM remark": ("content", "remark "),
    "UPDATE certificate SET subject_cn = 'x'": ("certificate", "certificate "),
    "UPDATE certificate SET id = gen_random_uuid()": ("certificate", "certificate "),
    "DELETE FROM certificate": ("certificate", "certificate "),
    "UPDATE name SET last_seen = now()": ("name", "name b.example"),
    "DELETE FROM name": ("name", "name b.example"),
    "INSERT INTO name VALUES ('c.example', now(), now())": ("name", "name c.example"),
    "DELETE FROM hostname": ("host", "hostname or evidence of 192.0.2.1"),
    "UPDATE host SET os = '' WHERE os <> ''": ("host", "hostname or evidence of 2001:db8::1"),
    "UPDATE host SET vendor = 'x' WHERE ip = '192.0.2.1'": ("host", "hostname or evidence of 192.0.2.1"),
    "UPDATE host SET first_seen = now() WHERE os <> ''": ("host", "host of 2001:db8::1"),
    "UPDATE endpoint SET last_seen = now() WHERE port = 22": ("host", "endpoint of 192.0.2.1"),
    "DELETE FROM endpoint_version": ("host", "endpoint of 192.0.2.1"),
    "UPDATE sighting SET observation = 99": ("log", "sighting of observation 99"),
    "UPDATE silence SET observation = 99": ("log", "silence of observation 99"),
    "UPDATE name_sighting SET observation = 99": ("log", "name_sighting of observation 99"),
}


@pytest.mark.parametrize("statement", ALTERED)
@pytest.mark.usefixtures("written")
def test_what_was_altered_is_named(database: Database, statement: str) -> None:
    """By its table and key."""
    look, name = ALTERED[statement]
    run(database, statement)
    assert LOOKS[look](database).startswith(name)


def test_hosts_are_compared_in_pages(database: Database, write: Scribe) -> None:
    """The last of many is looked at too, of IPv4 and of IPv6."""
    write([host(f"10.0.{i >> 8}.{i & 255}", T0, seen(80)) for i in range(1200)] + [host("2001:db8::9", T0, seen(80))])
    assert audit.altered_host(database) == ""
    run(database, "UPDATE endpoint SET state = 'c' WHERE ip = '2001:db8::9'")
    assert audit.altered_host(database) == "endpoint of 2001:db8::9"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sighting SET extra = '' WHERE observation = 1",
        "UPDATE name_sighting SET name = 'c.example'",
        "UPDATE silence SET net = '198.51.100.0/24'",
        "UPDATE observation SET swept = '{}' WHERE seq = 1",
        "DELETE FROM sighting WHERE ip = '192.0.2.1'",
    ],
)
def test_the_logs_digest_covers_it(database: Database, written: Written, statement: str) -> None:
    """Every kind of row that an observation wrote."""
    assert audit.log_digest(database, written.seq) == written.digest != ""
    run(database, statement)
    assert audit.log_digest(database, written.seq) != written.digest


def test_an_observation_without_log_has_no_digest(database: Database, write: Scribe) -> None:
    """Neither when it is written nor when it is read."""
    nothing = write([])
    assert audit.log_digest(database, nothing.seq) == nothing.digest == ""


def test_observations_are_read_as_their_entries_would_tell_them(database: Database, written: Written) -> None:
    """What is not there, or cannot be an id, is left out."""
    stored = audit.observations(database, [written.observation_id, "ab" * 32, "no id"])
    (row,) = stored.values()
    assert row.accepted["header"] == sha256_hex(row.header.encode())
    assert (row.accepted["contributor"], row.accepted["trust"], row.accepted["workflow"]) == ("alice", "1", "")
    assert row.settled["facts"] == {"tool": "nmap", "started": "2026-01-01T00:00:00Z"}
    assert row.settled["problems"] == sha256_hex(canonical([]))
    assert next(iter(audit.observation_ids(database))) == written.observation_id


@pytest.mark.parametrize("column", ["nonce", "scan_id", "scan_type", "contributor", "output_sha256", "header"])
def test_columns_have_to_agree_with_the_header(database: Database, written: Written, column: str) -> None:
    """They are copies of what was signed."""
    run(database, "INSERT INTO contributor (name, role, created) VALUES ('7', 'user', now())")
    before = audit.observations(database, [written.observation_id])[written.observation_id]
    assert before.accepted["header"] == sha256_hex(before.header.encode())
    run(database, f"UPDATE observation SET {column} = '7' WHERE seq = %s", written.seq)
    row = audit.observations(database, [written.observation_id])[written.observation_id]
    assert row.accepted["header"] == "columns differ from the header"


def test_an_untouched_observation_is_known(database: Database, write: Scribe) -> None:
    """What the row of a submission looks like that nobody has looked into yet."""
    found = write([]).observation_id
    run(database, "UPDATE observation SET status = 'accepted', facts = DEFAULT")
    assert audit.observations(database, [found])[found].settled == {"observation_id": found, **audit.UNTOUCHED}


def test_the_length_and_the_subjects_of_the_chain(database: Database) -> None:
    """What an audit asks to tell what came while it ran."""
    assert audit.chain_length(database) == 0
    provenance.commit(database, lambda _: (None, [Entry("kind", f"s{i}", {}, T0) for i in range(3)]))
    assert audit.chain_length(database) == 3
    assert audit.subjects_after(database, 1) == {"s1", "s2"}
