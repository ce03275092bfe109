"""An auditor finds whatever was changed, added or taken away, names it, and never cries wolf."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from spectra.errors import Unavailable
from spectra.flow import audit
from spectra.flow.submission import Ingest
from spectra.identity.keys import SigningKey
from spectra.model.records import ChainReport
from spectra.store import keys, provenance
from spectra.store.blobs import BlobStore
from spectra.store.database import Connection, Database, one
from tests.flow.desk import NOON, Contributor, naabu, nmap, rows
from tests.flow.desk import host as seen
from tests.flow.town import Town, columns, count, populate, tampering
from tests.support.postgres import drop, in_database

pytestmark = pytest.mark.engine

# What the plain walk holds against the chain, and what only the deep one looks at.
PLAIN = (
    "contributor",
    "key",
    "credential",
    "account",
    "role",
    "token_key",
    "observation",
    "provenance",
    "block",
    "do_not_scan",
    "do_not_scan_request",
    "tier",
    "ledger",
    "ledger_day",
    "triage",
    "vex_document",
    "node",
    "revoked_key",
    "join_token",
    "ca_root",
    "accepted_state",
    "job",
    "result",
    "result_observation",
    "artefact",
    "schedule",
    "worker_drain",
    "work_state",
)
DEEP = (
    "service",
    "banner",
    "certificate",
    "remark",
    "host",
    "hostname",
    "name",
    "sighting",
    "silence",
    "name_sighting",
    "endpoint",
    "endpoint_version",
    "evidence",
)

# Columns that say nothing about what was seen or by whom. Context is derived from feeds, and can be derived again.
FREE = {
    "observation.attempts": "how often merging was tried",
    "host.previous_seen": "left over from the newest write, read by nobody after it",
    "service.first_seen": "when the row was made",
    "banner.first_seen": "when the row was made",
    "certificate.first_seen": "when the row was made",
    "service.cpe23": "named anew from the row",
    "service.software": "the same",
    "service.words": "the same",
    "host.place": "looked up in the feeds",
    "host.feeds": "which feeds were looked up",
    "endpoint.place": "the host's",
    "do_not_scan_request.contact": "a stranger's, who may want to be forgotten: the chain forgets nothing",
    "do_not_scan_request.reason": "the same",
    "do_not_scan_request.source": "the same",
    "node.changed": "counts changes, for who looks for them",
    "revoked_key.at": "the entry of the node it was revoked with has it",
    "revoked_key.reason": "the same",
    "job.num": "how other rows call it",
    "job.tools": "the preset's, which are on record",
    "job.raw": "the same",
    "job.first": "where to look for its targets",
    "job.last": "the same",
    "job.served": "when it was its turn",
    "job.ended": "its targets say so",
    "job.counts": "the same",
    "artefact.num": "how it is called",
    "artefact.target": "its lease's",
    "artefact.job": "the same",
    "artefact.created": "when its result came",
    "artefact.observation": "whose output it is follows from its hash",
    "schedule.next_run": "moves with every run",
    "schedule.last_run": "the same",
    "schedule.last_job": "the same",
    "schedule.last_error": "the same",
    "work_state.one": "there is one",
}
# Columns of `observation` that only the deep walk reads, because what they speak of is the log.
LOG = {"observation.seq", "observation.swept"}

# One other value for each type.
OTHER: dict[str, str] = {
    "text": "{0} || 'x'",
    "bytea": "set_byte({0}, 0, get_byte({0}, 0) # 1)",
    "timestamp with time zone": "coalesce({0}, '2027-01-01Z') + interval '1 second'",
    "bigint": "{0} + 1000",
    "integer": "{0} + 1",
    "smallint": "{0} + 1",
    "real": "{0} / 2",
    "boolean": "NOT {0}",
    "date": "{0} + 1",
    "uuid": "'00000000-0000-0000-0000-000000000001'",
    "inet": "{0} + 64",
    "cidr": "set_masklen({0}, masklen({0}) - 1)::cidr",
    '"char"': "CASE WHEN {0} = 'o' THEN 'c' ELSE 'o' END",
    "jsonb": "CASE WHEN jsonb_typeof({0}) = 'array' THEN {0} || '[{{}}]' ELSE {0} || '{{\"x\": 1}}' END",
    "int4multirange": "{0} + '{{[1,2)}}'",
    "text[]": "array_append({0}, 'x')",
    "integer[]": "array_append({0}[2:], 393296)",
    "uuid[]": "array_append({0}[2:], '00000000-0000-0000-0000-000000000001')",
}
SPECIAL = {
    "observation.status": "'failed'",
    "tier.hand": "CASE hand WHEN 'free' THEN 'pro' ELSE 'free' END",
    "vex_document.format": "CASE format WHEN 'openvex' THEN 'cyclonedx' ELSE 'openvex' END",
    "node.role": "CASE role WHEN 'full' THEN 'worker' ELSE 'full' END",
    "node.standing": "CASE standing WHEN 'active' THEN 'revoked' ELSE 'active' END",
    "join_token.role": "CASE role WHEN 'full' THEN 'worker' ELSE 'full' END",
    "accepted_state.kind": "CASE kind WHEN 'tpm' THEN 'statement' ELSE 'tpm' END",
    "job.decision": "CASE decision WHEN 'paused' THEN 'running' ELSE 'paused' END",
    "result.verdict": "CASE verdict WHEN 'late' THEN 'accepted' ELSE 'late' END",
    "result.outcome": "CASE outcome WHEN 'done' THEN 'failed' ELSE 'done' END",
    "artefact.kind": "CASE kind WHEN 'log' THEN 'raw' ELSE 'log' END",
    "triage.status": "CASE status WHEN 'fixed' THEN 'accepted' ELSE 'fixed' END",
    "do_not_scan_request.status": "CASE status WHEN 'approved' THEN 'pending' ELSE 'approved' END",
}


@pytest.fixture(scope="module")
def town(store_server: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A populated store that every test leaves as it found it."""
    name = f"spectra_town_{secrets.token_hex(6)}"
    with psycopg.connect(store_server, autocommit=True) as admin:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        admin.execute(copy.format(sql.Identifier(name), sql.Identifier(migrated_template)))
        try:
            with Database(in_database(store_server, name), pool_size=4) as database:
                made = populate(database, tmp_path_factory.mktemp("town") / "blobs")
                yield made
                assert verify(made, deep=True).ok
        finally:
            drop(store_server, name)


def verify(town: Town, *, deep: bool = False) -> ChainReport:
    """Walk the chain of the town."""
    return audit.verify(town.database, town.blobs, deep=deep)


def test_a_clean_store_passes(town: Town) -> None:
    """Both walks, with everything counted, and something in every table for the other tests to tamper with."""
    for table in PLAIN + DEEP:
        assert count(town.database, table), table
    length, head = provenance.head(town.database)
    for deep in (False, True):
        report = verify(town, deep=deep)
        assert report == ChainReport(True, length, 6, 6, head, deep), report


def first_row(column: str) -> str:
    """The first row that says something in this column, if one does."""
    return f"ctid = (SELECT ctid FROM {{table}} ORDER BY {column} IS NULL, ctid LIMIT 1)"


def edit(connection: Connection, table: str, name: str, kind: str) -> None:
    """Give one row another value in this column."""
    value = SPECIAL.get(f"{table}.{name}") or OTHER[kind].format(f'"{name}"')
    text = f'UPDATE {{table}} SET "{name}" = {value} WHERE ' + first_row(f'"{name}"')
    done = connection.execute(text.replace("{table}", f'"{table}"').encode())
    assert done.rowcount == 1


@pytest.mark.parametrize("table", PLAIN + DEEP)
def test_an_edit_of_any_value_is_found(town: Town, table: str) -> None:
    """Every column of every table, by SQL that leaves all else as it was; by the plain walk where that promises it."""
    unseen: list[str] = []
    with town.database.connection() as connection:
        every = [(name, kind) for name, kind in columns(connection, table) if f"{table}.{name}" not in FREE]
    for name, kind in every:
        deep = table in DEEP or f"{table}.{name}" in LOG
        with tampering(town.database, table) as connection:
            edit(connection, table, name, kind)
            report = verify(town, deep=deep)
            if report.ok or not report.reason:
                unseen.append(name)
    assert unseen == []


@pytest.mark.parametrize("table", PLAIN + DEEP)
def test_a_deleted_row_is_found(town: Town, table: str) -> None:
    """Any one of any table."""
    unseen: list[int] = []
    for number in range(count(town.database, table)):
        with tampering(town.database, table) as connection:
            row = (
                f'DELETE FROM "{table}" WHERE ctid = (SELECT ctid FROM "{table}" ORDER BY ctid OFFSET {number} LIMIT 1)'
            )
            assert connection.execute(row.encode()).rowcount == 1
            if verify(town, deep=table in DEEP).ok:
                unseen.append(number)
    assert unseen == []


ADDED = {
    "contributor": "INSERT INTO contributor (name, role, created) VALUES ('mallory', 'admin', now())",
    "key": "INSERT INTO key (keyid, contributor, public_key, created) VALUES ('x', 'alice', 'x', now())",
    "credential": "INSERT INTO credential (digest, contributor, created) VALUES ('x', 'admin', now())",
    "account": "INSERT INTO account (name, password, changed, by) VALUES ('alice', 'x', now(), 'admin')",
    "role": "INSERT INTO role VALUES ('mine', '{admin:all}', now(), 'admin')",
    "token_key": "INSERT INTO token_key VALUES ('mine', 'x', now(), now() + interval '1 day', NULL)",
    "observation": """INSERT INTO observation (seq, observation_id, contributor, nonce, keyid, signature, header,
        received, trust, scan_id, scan_type, output_sha256, blob_sha256, status) SELECT 999, '\\xab', contributor, 'x',
        keyid, signature, header, received, trust, scan_id, scan_type, output_sha256, blob_sha256, status
        FROM observation LIMIT 1""",
    "provenance": """INSERT INTO provenance SELECT seq + 1, sha256(hash || convert_to('{}' || at, 'UTF8')), hash, at,
        'x', 'x', '{}' FROM provenance ORDER BY seq DESC LIMIT 1""",
    "block": """INSERT INTO block (id, net, reason, targets, added, added_by)
        VALUES (gen_random_uuid(), '203.0.113.0/24', 'x', true, now(), 'admin')""",
    "do_not_scan": """INSERT INTO do_not_scan (id, net, reason, added, added_by)
        VALUES (gen_random_uuid(), '203.0.113.0/24', 'x', now(), 'admin')""",
    "do_not_scan_request": """INSERT INTO do_not_scan_request (id, net, contact, reason, source, received, status)
        VALUES (gen_random_uuid(), '203.0.113.0/24', 'x', 'x', '192.0.2.0/24', now(), 'approved')""",
    "tier": "INSERT INTO tier (name, hand, changed, by) VALUES ('bob', 'pro', now(), 'admin')",
    "ledger": "INSERT INTO ledger VALUES (12345, 1000)",
    "ledger_day": "INSERT INTO ledger_day VALUES ('bob', '2027-01-01', 1, 1000)",
    "triage": """INSERT INTO triage (id, cve, status, at, by)
        VALUES (gen_random_uuid(), 'CVE-2024-0001', 'accepted', now(), 'admin')""",
    "node": "INSERT INTO node (name, uri, role, standing, by, created) VALUES ('x', 'x', 'full', 'active', 'x', now())",
    "revoked_key": "INSERT INTO revoked_key VALUES ('x', 'attic', now(), 'x')",
    "join_token": "INSERT INTO join_token VALUES ('x', 'full', 'x', false, now(), 'admin', now() + interval '1 day')",
    "ca_root": "INSERT INTO ca_root VALUES ('x', 'mesh-x', 'PEM', 'x', now(), NULL, 'admin')",
    "accepted_state": "INSERT INTO accepted_state VALUES ('attic', 'statement', now(), '{}', '{}')",
    "job": """INSERT INTO job (id, account, created, changed, by, what, preset, tools, raw, ports, rate, priority,
        scan_id, permission, node, region, relay, windows, schedule, left_out, addresses, total, first, last)
        SELECT 'job-x', account, created, changed, by, what, preset, tools, raw, ports, rate, priority, scan_id,
        permission, node, region, relay, windows, schedule, left_out, addresses, total, first, last FROM job LIMIT 1""",
    "result": """INSERT INTO result SELECT gen_random_uuid(), node, 'x', verdict, outcome, payload, signature, keyid,
        received FROM result LIMIT 1""",
    "result_observation": """INSERT INTO result_observation SELECT lease, (SELECT max(seq) FROM observation)
        FROM result_observation LIMIT 1""",
    "artefact": """INSERT INTO artefact (lease, target, job, kind, name, media_type, sha256, size, created)
        SELECT lease, target, job, 'raw', name, media_type, sha256, size, created FROM artefact LIMIT 1""",
    "schedule": """INSERT INTO schedule (name, body, account, created, changed, by)
        SELECT 'x', body, account, created, changed, by FROM schedule LIMIT 1""",
    "worker_drain": "INSERT INTO worker_drain VALUES ('barn', true, now(), 'admin')",
    "vex_document": "INSERT INTO vex_document VALUES ('urn:y', 'openvex', '', 1, NULL, 'x', now(), 'admin')",
    "service": """INSERT INTO service (id, name, product, version, extra, os, device, tunnel, cpe)
        VALUES (gen_random_uuid(), 'x', '', '', '', '', '', '', '{}')""",
    "banner": "INSERT INTO banner (id, text, title) VALUES (gen_random_uuid(), 'x', '')",
    "remark": "INSERT INTO remark VALUES (gen_random_uuid(), 'x', '', '', '')",
    "certificate": """INSERT INTO certificate (id, sha256, subject_cn, subject, issuer, sans, serial, key)
        VALUES (gen_random_uuid(), 'x', '', '', '', '{}', '', '')""",
    "host": "INSERT INTO host (ip, first_seen, last_seen) VALUES ('203.0.113.1', now(), now())",
    "hostname": "INSERT INTO hostname VALUES ('203.0.113.1', 'x', 'dns', now(), now())",
    "name": "INSERT INTO name VALUES ('x', now(), now())",
    "sighting": """INSERT INTO sighting SELECT '203.0.113.1', seen_at, observation, rest, ports, states, services,
        certificates, banners, '' FROM sighting LIMIT 1""",
    "silence": "INSERT INTO silence SELECT '203.0.113.0/24', seen_at, observation FROM silence LIMIT 1",
    "name_sighting": "INSERT INTO name_sighting SELECT 'x', seen_at, observation, '{}' FROM name_sighting LIMIT 1",
    "endpoint": """INSERT INTO endpoint (ip, port, protocol, state, since, confirmed, first_seen, last_seen)
        VALUES ('203.0.113.1', 80, 6, 'o', now(), now(), now(), now())""",
    "endpoint_version": """INSERT INTO endpoint_version (ip, port, protocol, state, since, confirmed, until)
        VALUES ('203.0.113.1', 80, 6, 'o', now(), now(), now())""",
    "evidence": "INSERT INTO evidence SELECT '203.0.113.1', 80, 6, id, now(), now() FROM remark LIMIT 1",
}


@pytest.mark.parametrize("table", ADDED)
def test_an_added_row_is_found(town: Town, table: str) -> None:
    """One that nobody submitted, in any table."""
    with tampering(town.database, table) as connection:
        connection.execute(ADDED[table].encode())
        report = verify(town, deep=table in DEEP)
    assert not report.ok


@pytest.mark.parametrize("table", ["sighting", "silence", "name_sighting"])
@pytest.mark.parametrize("whose", ["one that does not exist", "one that failed", "one that is not settled"])
def test_a_log_row_of_nobody_is_found(town: Town, table: str, whose: str) -> None:
    """The log may only have rows of observations that were merged."""
    wanted = {"one that failed": "failed", "one that is not settled": "accepted"}.get(whose, "")
    found = rows(town.database, f"SELECT seq FROM observation WHERE status = '{wanted}'")
    seq = found[0][0] if found else 12345
    with tampering(town.database, table) as connection:
        connection.execute(f"UPDATE {table} SET observation = {seq}".encode())
        assert not verify(town, deep=True).ok
    with tampering(town.database, table) as connection:
        copy = ADDED[table].replace("observation,", f"{seq},").replace(" observation FROM", f" {seq} FROM")
        connection.execute(copy.encode())
        assert not verify(town, deep=True).ok


def test_the_first_broken_entry_is_named(town: Town) -> None:
    """Of several, with the observation it tells of and what is wrong."""
    with tampering(town.database, "observation") as connection:
        connection.execute("UPDATE observation SET scan_type = 'forged' WHERE seq >= 2")
        subject = one(connection.execute("SELECT encode(observation_id, 'hex') FROM observation WHERE seq = 2"))[0]
        query = "SELECT seq FROM provenance WHERE subject = %s AND kind = 'observation.accepted'"
        accepted = one(connection.execute(query, [subject]))[0]
        report = verify(town)
    assert (report.ok, report.broken_seq, report.broken_observation) == (False, accepted, subject)
    assert report.reason == "the observation was changed: header"
    assert (report.entries, report.observations) == (accepted, 1)


def test_an_edited_entry_is_named_by_its_number(town: Town) -> None:
    """Whatever of it was edited; a missing one too."""
    length, _ = provenance.head(town.database)
    for seq in (1, 4, length):
        for name in ("hash", "previous", "at", "kind", "subject", "entry"):
            with tampering(town.database, "provenance") as connection:
                kind = dict(columns(connection, "provenance"))[name]
                value = OTHER[kind].format(name)
                connection.execute(f"UPDATE provenance SET {name} = {value} WHERE seq = {seq}".encode())
                assert verify(town).broken_seq == seq, (seq, name)
        with tampering(town.database, "provenance") as connection:
            connection.execute("DELETE FROM provenance WHERE seq = %s", [seq])
            if seq < length:
                assert verify(town).reason == f"entry {seq} is missing"


def test_an_outcome_without_an_entry_is_found(town: Town) -> None:
    """Somebody sets what is only accepted to merged, so that it is never looked at: the acceptance is named."""
    with tampering(town.database, "observation") as connection:
        connection.execute("UPDATE observation SET status = 'merged' WHERE status = 'accepted'")
        report = verify(town)
    assert report.reason == "the observation has an outcome that the chain does not know"
    assert report.broken_seq == provenance.head(town.database)[0]


def test_a_key_is_named_by_its_newest_entry(town: Town) -> None:
    """Somebody makes a revoked key good again."""
    with tampering(town.database, "key") as connection:
        keyid = one(connection.execute("UPDATE key SET revoked = NULL WHERE revoked IS NOT NULL RETURNING keyid"))[0]
        report = verify(town)
    entry = rows(town.database, f"SELECT seq FROM provenance WHERE subject = '{keyid}' AND kind = 'key.revoked'")
    assert [(report.broken_seq,)] == entry
    assert report.reason.startswith(f"the key {keyid[:16]}")
    assert report.broken_observation == ""


ROLES = {
    "role": "UPDATE contributor SET role = 'admin' WHERE name = 'alice'",
    "trust": "UPDATE contributor SET trust = 0.1 WHERE name = 'alice'",
}


@pytest.mark.parametrize("name", ROLES)
def test_nobody_is_made_more_than_they_are(town: Town, name: str) -> None:
    """Role and trust of a contributor are part of what each of its keys was registered with."""
    with tampering(town.database, "contributor") as connection:
        connection.execute(ROLES[name].encode())
        assert "is not what the chain says" in verify(town).reason


UNREADABLE = {
    "the header": "UPDATE observation SET header = '[]'",
    "the header's JSON": "UPDATE observation SET header = '{'",
    "problems": "UPDATE observation SET problems = '{\"a\": 1}'",
    "facts": "UPDATE observation SET facts = '7'",
    "counts": 'UPDATE observation SET counts = \'{"hosts": "many"}\'',
    "the key": "UPDATE key SET public_key = keyid::bytea",
    "the key's point": "UPDATE key SET public_key = decode(md5(keyid) || md5(comment || keyid), 'hex')",
    "the signature": "UPDATE observation SET signature = '?'",
    "an entry": "UPDATE provenance SET entry = '{}', hash = sha256(previous || convert_to('{}' || at, 'UTF8'))"
    " WHERE seq = (SELECT max(seq) FROM provenance)",
    "an entry's JSON": "UPDATE provenance SET entry = '{', hash = sha256(previous || convert_to('{' || at, 'UTF8'))"
    " WHERE seq = (SELECT max(seq) FROM provenance)",
    "sighting": "UPDATE sighting SET states = ''",
    "extra": "UPDATE sighting SET extra = '{'",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_any_more_is_a_finding(town: Town, name: str) -> None:
    """Not a crash of the auditor, and it names an entry."""
    table = UNREADABLE[name].split()[1]
    with tampering(town.database, table) as connection:
        connection.execute(UNREADABLE[name].encode())
        report = verify(town, deep=True)
    assert not report.ok
    assert report.broken_seq


def blob_files(town: Town) -> list[Path]:
    """The files of the blob store."""
    return [path for path in town.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("damage", ["flipped", "cut", "deleted"])
def test_a_damaged_blob_is_found(town: Town, damage: str) -> None:
    """Each one, by the plain walk, with the observation whose original it is."""
    files = blob_files(town)
    assert len(files) == 6
    for file in files:
        data = file.read_bytes()
        if damage == "deleted":
            file.unlink()
        else:
            file.write_bytes(data[:-1] + (bytes([data[-1] ^ 1]) if damage == "flipped" else b""))
        report = verify(town)
        file.write_bytes(data)
        owner = rows(
            town.database,
            f"SELECT encode(observation_id, 'hex') FROM observation WHERE blob_sha256 = '\\x{file.name}'",
        )
        assert [(report.broken_observation,)] == owner
        assert file.name in report.reason


def test_a_blob_put_in_anothers_place_is_found(town: Town) -> None:
    """Row and blob agree with each other, but not with what was signed."""
    other = town.blobs.put(b"other bytes")
    try:
        with tampering(town.database, "observation") as connection, tampering(town.database, "provenance") as chain:
            connection.execute("UPDATE observation SET blob_sha256 = %s WHERE seq = 1", [other])
            rewrite_chain(chain)
            report = verify(town)
    finally:
        town.blobs.discard(other)
    assert report.reason == "header and blob do not make up what was signed"


def rewrite_chain(connection: Connection) -> None:
    """What somebody who may write everything, but has no key, would do: adapt the entry and hash all anew."""
    query = "SELECT encode(observation_id, 'hex'), encode(blob_sha256, 'hex') FROM observation WHERE seq = 1"
    subject, blob = one(connection.execute(query))
    connection.execute(
        'UPDATE provenance SET entry = regexp_replace(entry, \'"blob":"[0-9a-f]*"\', %s) WHERE subject = %s',
        [f'"blob":"{blob}"', subject],
    )
    previous = bytes(32)
    for seq, entry, at in connection.execute("SELECT seq, entry, at FROM provenance ORDER BY seq").fetchall():
        digest = hashlib.sha256(previous + entry.encode() + at.encode()).digest()
        connection.execute("UPDATE provenance SET previous = %s, hash = %s WHERE seq = %s", [previous, digest, seq])
        previous = digest


def test_a_signature_cannot_be_rewritten(town: Town) -> None:
    """Whoever puts a key of his own in the place of the signer's has to sign as well."""
    with tampering(town.database, "key") as connection:
        query = "UPDATE key SET public_key = %s WHERE keyid = (SELECT keyid FROM observation WHERE seq = 1)"
        connection.execute(query, [SigningKey.generate().public.raw])
        report = verify(town)
    assert report.reason == "the signature does not hold any more: the key was changed"


def test_a_blob_store_that_is_away_is_no_finding(town: Town, tmp_path: Path) -> None:
    """The auditor says that it could not look, not that something is wrong."""
    away = BlobStore.local(tmp_path / "away")
    (tmp_path / "away" / "sha256").write_text("in the way")
    with pytest.raises(Unavailable):
        audit.verify(town.database, away)


def test_progress_is_told(ingest: Ingest, alice: Contributor) -> None:
    """In order, up to the whole length, and of an empty chain nothing is said to be wrong."""
    for number in range(210):
        ingest.accept(alice.envelope(naabu((f"192.0.2.{number}", 80))))
    told: list[tuple[int, int]] = []
    report = audit.verify(ingest.database, ingest.blobs, progress=lambda done, total: told.append((done, total)))
    assert (report.ok, report.entries, report.observations) == (True, 211, 210)
    assert told == [(200, 211), (211, 211)]


def test_an_empty_store_passes(database: Database, blobs: BlobStore) -> None:
    """Nothing is wrong with nothing."""
    for deep in (False, True):
        assert audit.verify(database, blobs, deep=deep) == ChainReport(True, 0, 0, 0, "00" * 32, deep)


def test_an_audit_while_others_write_finds_nothing(ingest: Ingest, alice: Contributor) -> None:
    """Submissions on both paths, late ones, keys and tokens, all while one deep walk follows the other."""
    done = threading.Event()

    def submit() -> None:
        for number in range(40):
            found = [(f"192.0.2.{number % 7}", port) for port in (80, 443 + number)]
            ingest.submit(alice.envelope(naabu(*found, at=NOON.replace(hour=number * 5 % 12))))
            ingest.submit(alice.envelope(nmap(seen(f"192.0.2.{number % 5}", at=NOON, rest="closed"))))

    def accept() -> None:
        for number in range(40):
            ingest.accept(alice.envelope(naabu((f"198.51.100.{number}", 80))))

    def manage() -> None:
        for number in range(40):
            other = Contributor(f"contributor {number}", lambda: NOON).register(ingest.database)  # type: ignore[arg-type]
            keys.add_credential(ingest.database, digest=bytes([number]), contributor=other.name, now=NOON)
            keys.revoke(ingest.database, other.key.public.keyid, NOON)

    def walk() -> list[ChainReport]:
        reports: list[ChainReport] = []
        while not done.is_set() or not reports:
            reports.append(audit.verify(ingest.database, ingest.blobs, deep=True))
        return reports

    with ThreadPoolExecutor(4) as pool:
        walking = pool.submit(walk)
        try:
            for work in [pool.submit(job) for job in (submit, accept, manage)]:
                work.result(120)
        finally:
            done.set()
        reports = [*walking.result(60), audit.verify(ingest.database, ingest.blobs, deep=True)]
    assert [report for report in reports if not report.ok] == []
    assert all(one.entries <= other.entries for one, other in pairwise(reports))
    assert reports[-1].entries == 1 + 160 + 40 + 120
