"""The machines of the mesh: who came, what was decided about each, and whom the mesh lets in.

Every change of a node's standing or keys is an entry of the provenance chain. What is heard from them is not: see
`store/presence.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec

from spectra.errors import BadRequest
from spectra.model.nodes import (
    AttestationRecord,
    Capabilities,
    CertificateRecord,
    Load,
    NodeRecord,
    Presence,
    Role,
    Standing,
    Transport,
)
from spectra.store import attestations, certificates, jointokens, keys, noderows
from spectra.store.accounts import Act
from spectra.store.database import Connection, Database, one
from spectra.store.presence import put_capabilities
from spectra.store.provenance import Entry, commit

SYSTEM: Final = "spectra"
"""Who acts where nobody asked: the mesh itself."""
Decision = Literal["active", "quarantined"]
PROVER: Final = "attestation"
"""Who acts where the state of a machine decides."""
_KEY_ROLE: Final = "module"

_RECORD: Final = """
SELECT n.name, n.uri, n.role, n.standing, coalesce(p.presence, 'never'), n.created, n.reason, n.joined,
       greatest(b.at, p.last_seen), p.transport, p.capabilities, b.cpu, b.memory_free_mb, b.tasks, b.skew_s,
       coalesce(n.keyid, ''), c.serial, c.spki, c.not_before, c.not_after, a.kind, a.at, a.ok, a.state, a.reason
FROM node n LEFT JOIN node_presence p ON p.node = n.name LEFT JOIN node_beat b ON b.node = n.name
LEFT JOIN attestation a ON a.node = n.name
LEFT JOIN LATERAL (SELECT serial, spki, not_before, not_after FROM node_certificate WHERE node = n.name
                   ORDER BY not_after DESC, not_before DESC LIMIT 1) c ON true"""


_JOIN: Final = """
UPDATE node SET keyid = %(keyid)s, joined = %(now)s, changed = nextval('node_change'),
  standing = CASE WHEN standing = 'quarantined' OR %(hold)s <> '' THEN 'quarantined' ELSE 'active' END,
  reason = CASE WHEN standing = 'quarantined' THEN reason ELSE %(hold)s END,
  by = CASE WHEN standing = 'quarantined' OR %(hold)s = '' THEN by ELSE %(by)s END
WHERE name = %(name)s"""


class Member(NamedTuple):
    """A node that the mesh's messages are open to, as its standing allows. `not_after` is of its newest certificate,
    `spki` its public key: no other speaks for it.
    """

    name: str
    uri: str
    role: Role
    standing: Standing
    transport: Transport | None
    not_after: datetime | None
    spki: str


class Admitted(NamedTuple):
    """Whom a certificate speaks for, as of now."""

    name: str
    role: Role
    standing: Standing
    keyid: str


def contributor(name: str) -> str:
    """The contributor that the node's submissions are signed for."""
    return f"node-{name}"


def enrol(
    database: Database, *, token: str, name: str, uri: str, certificate: CertificateRecord, now: datetime
) -> NodeRecord:
    """Use up a join token (by its id) for a certificate that was made and is handed out once this returns.

    A machine that comes with a token for a node which has joined takes its place: the keys of the former are revoked.
    `BadRequest`: whatever `jointokens.claim` says; `revoked` for a node or key that is; `name_taken` where a reusable
    token's holder wants a name that there is.
    """

    def work(connection: Connection) -> tuple[NodeRecord, list[Entry]]:
        node = noderows.hold(connection, name)
        if node is not None and node.standing == "revoked":
            raise noderows.revoked(name)
        claim, entries = jointokens.claim(connection, token, certificate.spki, name, now)
        if claim.reusable and not claim.repeated and node is not None:
            raise noderows.taken(name)
        if node is None and not noderows.insert(
            connection, name, uri, role=claim.role, standing="invited", by=claim.created_by, now=now
        ):
            raise noderows.taken(name)
        certificates.put(connection, name, certificate, now)
        jointokens.came(connection, token, certificate.spki, name)
        if node is not None and node.spki and not claim.repeated:
            noderows.revoke_keys(connection, name, "replaced", now, keep=certificate.spki)
        if not claim.repeated:
            entries.append(noderows.entry(connection, "node.enrolled", name, now))
        return _get(connection, name), entries

    return commit(database, work)


def join(
    database: Database,
    name: str,
    *,
    keyid: str,
    public_key: bytes,
    capabilities: Capabilities,
    transport: Transport,
    nonce: str,
    now: datetime,
    certificate: CertificateRecord | None = None,
    hold: str = "",
) -> NodeRecord:
    """Make a machine that has a certificate a member: `keyid` signs its submissions from now on, and its former do not.

    Joining again with the same key changes nothing. A quarantined node stays so, and with `hold` (why) it becomes so
    until it has proved its state. `certificate` is what it came with, where another CA issued that.

    `BadRequest`: `revoked`, `key_exists`, `nonce_replayed`, or `not_joined` for a node that never got a certificate.
    """

    def work(connection: Connection) -> tuple[NodeRecord, list[Entry]]:
        node = noderows.held(connection, name)
        if certificate is not None and certificate.spki != node.spki:
            certificates.put(connection, name, certificate, now)
        elif not node.spki:
            raise BadRequest(f"{name} has no certificate yet.", reason="not_joined", hint="Enrol first.")
        put_capabilities(connection, name, capabilities, transport)
        if node.keyid == keyid and node.standing != "invited":
            if keys.is_revoked(connection, keyid):
                raise noderows.revoked(name)
            return _get(connection, name), []
        who = contributor(name)
        entries = keys.put(
            connection, contributor=who, role=_KEY_ROLE, public_key=public_key, keyid=keyid, now=now, nonce=nonce
        )
        entries += keys.revoke_others(connection, who, keyid, now)
        connection.execute(_JOIN, {"keyid": keyid, "now": now, "name": name, "hold": hold, "by": PROVER})
        return _get(connection, name), [*entries, noderows.entry(connection, "node.joined", name, now)]

    return commit(database, work)


def establish(database: Database, name: str, uri: str, *, certificate: CertificateRecord, now: datetime) -> NodeRecord:
    """Record a coordinator and its certificate: active at once. Harmless to repeat, and done at every renewal."""

    def work(connection: Connection) -> tuple[NodeRecord, list[Entry]]:
        added = noderows.insert(connection, name, uri, role="coordinator", standing="active", by=SYSTEM, now=now)
        node = noderows.held(connection, name)
        if node.role != "coordinator":
            raise noderows.taken(name)
        certificates.put(connection, name, certificate, now)
        connection.execute("UPDATE node SET joined = %s WHERE name = %s AND joined IS NULL", [now, name])
        changed = added or node.spki != certificate.spki
        entries = [noderows.entry(connection, "node.joined", name, now)] if changed else []
        return _get(connection, name), entries

    return commit(database, work)


def quarantine(database: Database, name: str, reason: str, act: Act) -> NodeRecord:
    """Let a node be heard and nothing more. `BadRequest("not_joined")` for one that nobody came as."""
    return _decide(database, name, "quarantined", reason, act)


def release(database: Database, name: str, act: Act) -> NodeRecord:
    """Let a quarantined node work again, in the state that it showed last; one that works stays as it is."""
    return _decide(database, name, "active", "", act)


def _decide(database: Database, name: str, standing: Decision, reason: str, act: Act) -> NodeRecord:
    def work(connection: Connection) -> tuple[NodeRecord, list[Entry]]:
        node = _known(connection, name)
        if node.standing == "revoked":
            raise noderows.gone(name)
        if node.standing == "invited":
            raise BadRequest(
                f"{name} has not joined.", reason="not_joined", field="name", hint=f"spectra node revoke {name}"
            )
        entries = set_standing(connection, name, standing, reason, act=act)
        if standing == "active":
            entries += attestations.accept(connection, name, act.now)
        return _get(connection, name), entries

    return commit(database, work)


def set_standing(connection: Connection, name: str, standing: Decision, reason: str, *, act: Act) -> list[Entry]:
    """What `quarantine` and `release` do, in the caller's transaction: returns what has to be put on record.

    Nothing happens to a node that is invited or revoked, or is in this standing for this reason already.
    """
    changed = connection.execute(
        "UPDATE node SET standing = %(standing)s, reason = %(reason)s, by = %(by)s, changed = nextval('node_change')"
        " WHERE name = %(name)s AND standing IN ('active', 'quarantined')"
        " AND (standing, reason) <> (%(standing)s, %(reason)s)",
        {"standing": standing, "reason": reason, "by": act.by, "name": name},
    ).rowcount
    kind = "node.quarantined" if standing == "quarantined" else "node.released"
    return [noderows.entry(connection, kind, name, act.now)] if changed else []


def revoke(database: Database, name: str, reason: str, act: Act) -> NodeRecord:
    """Let a node in nowhere any more, for good: its certificates' keys, its signing keys and its unused tokens are
    revoked too. Of one that was invited and nobody came as, only the invitation is left: it is withdrawn.
    """
    return commit(database, lambda connection: _revoke(connection, name, reason, act))


def leave(database: Database, name: str, act: Act) -> NodeRecord:
    """What a node does that leaves for good: it is revoked by itself; its TPM is welcome under another name."""

    def work(connection: Connection) -> tuple[NodeRecord, list[Entry]]:
        _, entries = _revoke(connection, name, "left", act, ban=False)
        connection.execute(
            "INSERT INTO node_presence (node, presence, last_seen) VALUES (%(name)s, 'left', %(now)s)"
            " ON CONFLICT (node) DO UPDATE SET presence = 'left', last_seen = excluded.last_seen",
            {"name": name, "now": act.now},
        )
        return _get(connection, name), entries

    return commit(database, work)


def _revoke(
    connection: Connection, name: str, reason: str, act: Act, *, ban: bool = True
) -> tuple[NodeRecord, list[Entry]]:
    """`ban`: the machine itself, by the keys of its TPM; also one that has left before."""
    node = _known(connection, name)
    proved = attestations.keys_of(connection, name) if ban else ()
    if node.standing == "revoked" and not noderows.revoke_keys(connection, name, reason, act.now, also=proved):
        return _get(connection, name), []
    entries = jointokens.revoke_open(connection, name, act.now)
    if node.standing == "invited" and not node.spki:
        last = msgspec.structs.replace(_get(connection, name), standing="revoked", reason=reason)
        connection.execute("DELETE FROM node WHERE name = %s", [name])
        return last, [*entries, noderows.removed(name, act.now, reason)]
    noderows.revoke_keys(connection, name, reason, act.now, also=proved)
    entries += keys.revoke_others(connection, contributor(name), "", act.now)
    connection.execute(
        "UPDATE node SET standing = 'revoked', reason = %s, by = %s, changed = nextval('node_change') WHERE name = %s",
        [reason, act.by, name],
    )
    return _get(connection, name), [*entries, noderows.entry(connection, "node.revoked", name, act.now)]


def _known(connection: Connection, name: str) -> noderows.Row:
    node = noderows.hold(connection, name)
    if node is None:
        raise noderows.unknown(name)
    return node


def admitted(database: Database, name: str, spki: str) -> Admitted:
    """Whom a certificate of `name` with this public key speaks for; asked for at every request.

    Raises `NotFound`, or `BadRequest("revoked")` where the node or the key is.
    """
    with database.connection() as connection:
        row = connection.execute(
            "SELECT name, role, standing, coalesce(keyid, ''),"
            " EXISTS (SELECT FROM revoked_key WHERE spki = %s), reason FROM node WHERE name = %s",
            [spki, name],
        ).fetchone()
    if row is None:
        raise noderows.unknown(name)
    if row[2] == "revoked" or row[4]:
        raise noderows.revoked(name, row[5] if row[2] == "revoked" else "")
    return Admitted(*row[:4])


def members(database: Database) -> tuple[Member, ...]:
    """The nodes that may speak in the mesh, by name: the active, and the quarantined with little to say."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT n.name, n.uri, n.role, n.standing, p.transport,"
            " (SELECT max(not_after) FROM node_certificate WHERE node = n.name), coalesce(n.spki, '')"
            " FROM node n LEFT JOIN node_presence p ON p.node = n.name"
            " WHERE n.standing IN ('active', 'quarantined') ORDER BY n.name"
        ).fetchall()
    return tuple(Member(*row) for row in rows)


def version(database: Database) -> int:
    """A number that grows whenever `members` may have changed, whichever coordinator changed it.

    The sum of numbers that only grow: the greatest would miss a change that commits after a later one.
    """
    with database.connection() as connection:
        found = connection.execute("SELECT coalesce(sum(changed), 0)::int8 FROM node WHERE standing <> 'invited'")
        return one(found)[0]


def find(database: Database, name: str) -> NodeRecord | None:
    """The node of this name."""
    with database.connection() as connection:
        row = connection.execute(f"{_RECORD} WHERE n.name = %s", [name]).fetchone()
    return _record(row) if row else None


def get(database: Database, name: str) -> NodeRecord:
    """The node of this name; raises `NotFound`."""
    record = find(database, name)
    if record is None:
        raise noderows.unknown(name)
    return record


def page(
    database: Database,
    *,
    after: str = "",
    limit: int = 100,
    role: Role | None = None,
    standing: Standing | None = None,
    presence: Presence | None = None,
) -> tuple[NodeRecord, ...]:
    """Nodes by name, those after the name `after`; of one role, standing or presence where that is given."""
    with database.connection() as connection:
        rows = connection.execute(
            f"{_RECORD} WHERE n.name > %(after)s AND (%(role)s::text IS NULL OR n.role = %(role)s)"
            " AND (%(standing)s::text IS NULL OR n.standing = %(standing)s)"
            " AND (%(presence)s::text IS NULL OR coalesce(p.presence, 'never') = %(presence)s)"
            " ORDER BY n.name LIMIT %(limit)s",
            {"after": after, "role": role, "standing": standing, "presence": presence, "limit": limit},
        ).fetchall()
    return tuple(_record(row) for row in rows)


def every(database: Database) -> tuple[NodeRecord, ...]:
    """All nodes, by name."""
    with database.connection() as connection:
        return tuple(_record(row) for row in connection.execute(f"{_RECORD} ORDER BY n.name"))


def _get(connection: Connection, name: str) -> NodeRecord:
    return _record(one(connection.execute(f"{_RECORD} WHERE n.name = %s", [name])))


def _record(row: tuple[Any, ...]) -> NodeRecord:
    (name, uri, role, standing, presence, created, reason, joined, seen, transport, can, *others) = row
    cpu, memory, tasks, skew, keyid, serial, spki, not_before, not_after, *proof = others
    return NodeRecord(
        name=name,
        uri=uri,
        role=role,
        standing=standing,
        presence=presence,
        created=created,
        reason=reason,
        joined=joined,
        last_seen=seen,
        transport=transport,
        capabilities=msgspec.convert(can, Capabilities) if can else None,
        load=Load(cpu, memory, tasks) if cpu is not None else None,
        skew_s=skew,
        keyid=keyid,
        certificate=CertificateRecord(serial, spki, not_before, not_after) if serial else None,
        attestation=AttestationRecord(*proof) if proof[0] else None,
    )
