"""A small populated store, with something in every table and every kind of entry in its chain, to be tampered with."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import sql

from spectra.flow.submission import Ingest
from spectra.ingest.parsers import ParseError
from spectra.model.ai import Label
from spectra.model.nodes import Capabilities, CertificateRecord
from spectra.model.results import ArtefactClaim
from spectra.model.triage import Target, Verdict
from spectra.model.work import Schedule
from spectra.store import (
    accounts,
    aiegress,
    artefacts,
    attestations,
    authorities,
    blocks,
    do_not_scan,
    jobs,
    jointokens,
    keys,
    nodes,
    schedules,
    tiers,
    token_keys,
    triagewrite,
    vexwrite,
    workers,
    workstate,
)
from spectra.store.accounts import Act
from spectra.store.attestations import Proof
from spectra.store.blobs import BlobStore
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit
from tests.flow.desk import NOON, Clock, Contributor, host, make_ingest, naabu, nmap, port
from tests.store import toil

HOUR = timedelta(hours=1)


class Town(NamedTuple):
    """The store, and where its blobs lie."""

    database: Database
    blobs: BlobStore
    folder: Path


def populate(database: Database, folder: Path) -> Town:
    """Fill an empty database and blob folder. Foreign keys and the identity of `observation.seq` are taken away
    afterwards, as somebody who may write to the database could.
    """
    clock = Clock()
    blobs = BlobStore.local(folder)
    ingest = make_ingest(database, blobs, clock)
    admin = Contributor("admin", clock).register(database, "admin")
    alice = Contributor("alice", clock).register(database)
    Contributor("bob", clock).register(database)
    spare, newer = Contributor("alice", clock).register(database), Contributor("alice", clock)
    keys.rotate(
        database,
        keyid=spare.key.public.keyid,
        public_key=newer.key.public.raw,
        new_keyid=newer.key.public.keyid,
        now=clock(),
        grace_s=60,
    )
    revoked = Contributor("alice", clock).register(database)
    keys.revoke(database, revoked.key.public.keyid, clock())
    keys.add_credential(database, digest=bytes(range(32)), contributor="admin", now=clock())
    keys.add_credential(database, digest=bytes(32), contributor="bob", now=clock())
    keys.revoke_credentials(database, "bob", clock())
    decide_all(database, clock())
    let_in_all(database, clock())
    triage_all(database, clock())
    join_all(database, clock())
    submit_all(ingest, alice, clock)
    work_all(database, clock())
    left = aiegress.Leaving("alice", "ab" * 32, 1200, Label.SANITIZED, "mistral", "small", "summary")
    aiegress.leaving(database, left, clock())
    with contextlib.suppress(ParseError):
        ingest.submit(alice.envelope(b"what is this?"))
    ingest.accept(admin.envelope(naabu(("192.0.2.9", 80))))
    ingest.close()
    with database.transaction() as connection:
        open_up(connection)
    return Town(database, blobs, folder)


def decide_all(database: Database, now: datetime) -> None:
    """Blocks that stand and one that was removed; requests and entries of the do-not-scan list of every kind."""
    blocks.add(database, asn=64500, reason="x", by="admin", now=now, targets=True)
    gone = blocks.add(database, network="192.0.2.0/24", reason="x", by="admin", now=now, until=now + HOUR)
    blocks.remove(database, UUID(gone.block_id), by="admin", now=now)
    for number, decide in enumerate((do_not_scan.approve, do_not_scan.reject)):
        words = {"contact": "noc@example.org", "reason": "ours", "source": "198.51.100.0/24"}
        asked = do_not_scan.ask(database, network=f"203.0.113.{64 * number}/26", now=now, **words)
        assert asked
        decide(database, UUID(asked.request_id), by="admin", now=now, note="x")
    entry = do_not_scan.add(database, network="198.51.100.0/24", reason="x", by="admin", now=now)
    do_not_scan.remove(database, UUID(entry.entry_id), by="admin", now=now)


def let_in_all(database: Database, now: datetime) -> None:
    """Accounts with and without a password or keys, one disabled; roles, one removed; token keys, one revoked."""
    act = Act("admin", now)
    for name in ("looker", "gone"):
        accounts.put_role(database, name, ["search:read"], act)
    accounts.remove_role(database, "gone", act)
    accounts.create(database, "carol", role="looker", trust=0.5, password="hash", act=act)
    accounts.create(database, "dave", role="user", trust=1.0, password="", act=act)
    accounts.disable(database, "dave", act)
    accounts.change(database, "bob", role="module", trust=0.9, act=act)  # who has a key: that is on record again
    for kid in ("a", "b"):
        token_keys.add(database, kid, kid.encode() * 32, expires=now + HOUR, now=now)
    token_keys.revoke(database, "b", now)
    tiers.give(database, "carol", "pro", now + HOUR, act)
    tiers.show(database, "alice", False, act)


def triage_all(database: Database, now: datetime) -> None:
    """Decisions of every scope, one replaced and one taken back; a VEX document in two versions."""
    wide, narrow = (
        Target("CVE-2024-0001"),
        Target("CVE-2024-0001", "192.0.2.1", 22, "tcp", "cpe:2.3:a:b:c:*:*:*:*:*:*:*:*"),
    )
    accepted = Verdict("accepted", "behind the VPN", until=now + HOUR)
    for target in (wide, Target("CVE-2024-0001", "192.0.2.1"), narrow):
        triagewrite.decide(database, [(target, accepted)], by="admin", now=now)
    fine = Verdict("not_affected", justification="code_not_present", origin="urn:x")
    triagewrite.decide(database, [(narrow, fine)], by="alice", now=now)
    triagewrite.take_back(database, wide, by="alice", now=now)
    for version in (1, 2):
        document = vexwrite.Source("urn:x", "openvex", "Acme", version, now, bytes(32))
        vexwrite.register(database, document, by="admin", now=now)


def join_all(database: Database, now: datetime) -> None:
    """Nodes of every standing, an invitation that was withdrawn, one root in use and one retired."""
    act = Act("admin", now)
    for fingerprint in ("aa", "bb"):
        authorities.add(database, authorities.Root(fingerprint, "mesh-x", "PEM", "cc"), act)
    authorities.retire(database, "aa", act)
    for name in ("attic", "barn", "cellar", "den", "eaves"):
        token = jointokens.NewToken(f"t-{name}", "worker", now + HOUR, name)
        jointokens.add(database, token, f"spiffe://mesh-x/node/{name}", act)
    jointokens.revoke(database, "t-eaves", act)
    for number, name in enumerate(("attic", "barn", "cellar")):
        certificate = CertificateRecord(str(number), f"spki-{name}", now, now + HOUR)
        uri = f"spiffe://mesh-x/node/{name}"
        nodes.enrol(database, token=f"t-{name}", name=name, uri=uri, certificate=certificate, now=now)
        nodes.join(
            database,
            name,
            keyid=f"key-{name}",
            public_key=name.encode(),
            capabilities=Capabilities(1, 1, "x", "x", "x"),
            transport="mqtt",
            nonce=f"nonce-of-{name}",
            now=now,
        )
    attest_all(database, now)
    nodes.quarantine(database, "barn", "why", act)
    nodes.revoke(database, "cellar", "why", act)


def work_all(database: Database, now: datetime) -> None:
    """A job that was scanned, one that was cancelled, a schedule, a machine that drains, and all of it paused."""
    act = Act("admin", now)
    toil.job(database, 1, at=now)
    gone = toil.job(database, 1, at=now)
    jobs.cancel(database, gone.job, act, "why")
    (lease,) = toil.ask(database, "attic", at=now)
    with database.connection() as connection:
        seen = one(connection.execute("SELECT encode(min(observation_id), 'hex') FROM observation"))[0]
    log = ArtefactClaim("log", "nmap.log", "text/plain", "ab" * 32, 5)
    toil.submit(database, lease, at=now, observations=(seen,), artefacts=(log,))
    with database.transaction() as connection:
        artefacts.insert(connection, lease.lease, [artefacts.NewArtefact(log)], now)
    toil.settle(database, lease, at=now)
    for name in ("night", "gone"):
        schedules.put(database, Schedule(name=name, query="port:22", every_s=3600, consent="ours"), act)
    schedules.remove(database, "gone", act)
    workers.drain(database, "attic", True, act)
    workstate.pause(database, True, "why", act)


def attest_all(database: Database, now: datetime) -> None:
    """A node with a TPM, whose state was accepted anew, and one that gave its word."""
    proof = Proof("tpm", now, True, {"pcr:7": "77" * 32}, {}, ek="ee" * 32, ak=b"key")
    word = Proof("statement", now, True, {"binary": "11" * 32}, {"binary": "1.2.0"})
    for node, one_of_it in (("barn", proof), ("barn", proof._replace(state={"pcr:7": "78" * 32})), ("cellar", word)):

        def work(connection: Connection, node: str = node, shown: Proof = one_of_it) -> tuple[None, list[Entry]]:
            attestations.record(connection, node, shown)
            return None, attestations.settle(connection, node, shown, now)

        commit(database, work)


def submit_all(ingest: Ingest, who: Contributor, clock: Clock) -> None:
    """Scans of several tools over three hours."""
    title = '<script id="http-title" output="Welcome"><elem key="title">Welcome</elem></script>'
    keys_script = '<script id="ssh-hostkey" output="2048 aa:bb (RSA)"/>'
    described = (
        '<address addr="00:00:5E:00:53:01" addrtype="mac" vendor="ICANN"/><hostnames><hostname name="a.example" '
        'type="PTR"/></hostnames><os><osmatch name="Linux 6" accuracy="100"/></os>'
    )
    first = host("192.0.2.1", port(22, "OpenSSH", script=keys_script), port(80, "nginx", script=title))
    first = first.replace("<ports>", f"{described}<ports>")
    down = '<host><status state="down"/><address addr="192.0.2.7" addrtype="ipv4"/></host>'
    ingest.submit(who.envelope(nmap(first, host("192.0.2.2", port(443)), down), scan_type="service"))
    clock.advance(HOUR)
    later = host("192.0.2.1", port(80, "apache"), at=clock(), rest="closed")
    ingest.submit(who.envelope(nmap(later, start=clock())))
    lines = [
        {
            "timestamp": "2027-01-01T13:30:00Z",
            "url": "https://b.example:443/",
            "host": "192.0.2.2",
            "port": "443",
            "webserver": "nginx/1.2",
            "title": "Shop",
            "tls": {
                "host": "b.example",
                "port": "443",
                "subject_cn": "b.example",
                "subject_dn": "CN=b.example",
                "issuer_dn": "CN=ca",
                "subject_an": ["b.example"],
                "serial": "0a",
                "not_before": "2026-01-01T00:00:00Z",
                "not_after": "2028-01-01T00:00:00Z",
                "fingerprint_hash": {"sha256": "ab" * 32},
            },
        },
        {"timestamp": "2027-01-01T13:30:00Z", "url": "http://alone.example/x", "title": "Alone", "status_code": 200},
    ]
    clock.advance(HOUR)
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    ingest.submit(who.envelope(body + b'{"url": 7}\n', tool="httpx"))
    ingest.submit(who.envelope(naabu(("192.0.2.1", 80), ("192.0.2.3", 22), at=NOON - HOUR), tool="naabu"))


def open_up(connection: Connection) -> None:
    """Take away what keeps a writer of SQL from editing any single value."""
    found = connection.execute("SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f'")
    for table, name in found.fetchall():
        drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
        connection.execute(drop.format(sql.Identifier(table), sql.Identifier(name)))
    connection.execute("ALTER TABLE observation ALTER COLUMN seq DROP IDENTITY")
    for table in ("job", "artefact"):
        numbered = sql.SQL("ALTER TABLE {} ALTER COLUMN num SET GENERATED BY DEFAULT")
        connection.execute(numbered.format(sql.Identifier(table)))
    connection.execute("CREATE SCHEMA saved")


@contextlib.contextmanager
def tampering(database: Database, table: str) -> Generator[Connection]:
    """Lends a connection to do as one likes to `table`, and puts the table back as it was."""
    with database.connection() as connection:
        names = sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns(connection, table))
        parts = {"table": sql.Identifier(table), "saved": sql.Identifier("saved", table), "names": names}
        connection.execute(sql.SQL("CREATE TABLE {saved} AS SELECT {names} FROM {table}").format(**parts))
        try:
            yield connection
        finally:
            connection.execute(sql.SQL("DELETE FROM {table}").format(**parts))
            put_back = "INSERT INTO {table} ({names}) SELECT {names} FROM {saved}"
            connection.execute(sql.SQL(put_back).format(**parts))
            connection.execute(sql.SQL("DROP TABLE {saved}").format(**parts))


def columns(connection: Connection, table: str) -> list[tuple[str, str]]:
    """The columns of a table that hold values of their own, and their types."""
    return connection.execute(
        """SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
           WHERE attrelid = ('public.' || %s)::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
           ORDER BY attnum""",
        [table],
    ).fetchall()


def count(database: Database, table: str) -> int:
    """How many rows a table has."""
    with database.connection() as connection:
        query: Any = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        return one(connection.execute(query))[0]
