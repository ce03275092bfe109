"""Certificates that another CA gave to our nodes: we learn of them when they are shown."""

from __future__ import annotations

from datetime import datetime

from spectra.errors import BadRequest
from spectra.model.nodes import CertificateRecord, NodeRecord
from spectra.store import certificates, noderows, nodes
from spectra.store.database import Database


def adopt(database: Database, name: str, uri: str, certificate: CertificateRecord, now: datetime) -> NodeRecord | None:
    """Record a certificate that a CA elsewhere issued to `name`; the node where it came with a key that is new.

    The key that the node has may have been certified again: nothing changes. Another key costs the open join token for
    this name, once: whoever else may have certificates issued there cannot take a node's place.
    `NotFound`; `BadRequest`: `revoked`, or `unknown_token` where nobody was invited under this name.
    """
    with database.connection() as connection:
        row = connection.execute(
            "SELECT coalesce(n.spki, ''), (SELECT id FROM join_token WHERE name = n.name AND used = 0"
            " AND revoked IS NULL AND expires > %(now)s ORDER BY created DESC, id LIMIT 1)"
            " FROM node n WHERE n.name = %(name)s",
            {"name": name, "now": now},
        ).fetchone()
    if row is None:
        raise noderows.unknown(name)
    spki, token = row
    if spki == certificate.spki:
        certificates.record(database, name, certificate, now)
        return None
    if token is None:
        raise BadRequest(
            f"{name} comes with a key that is not known here, and nobody is invited under this name.",
            reason="unknown_token",
            hint=f"Ask for a token: `spectra node token --name {name}` on the coordinator.",
        )
    return nodes.enrol(database, token=token, name=name, uri=uri, certificate=certificate, now=now)
