"""What content ids stand for: services, certificates, banners and places, a page of them at a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

from spectra.model.facts import Place
from spectra.model.observation import Banner, Certificate, Service
from spectra.model.records import VersionRecord
from spectra.store.database import Connection
from spectra.store.timeline import STATE

_STATEMENTS: Final[tuple[LiteralString, ...]] = (
    "SELECT id, name, product, version, extra, os, device, tunnel, cpe, cpe23 FROM service WHERE id = ANY(%s)",
    "SELECT id, encode(sha256, 'hex'), subject_cn, subject, issuer, sans, not_before, not_after, serial, key"
    " FROM certificate WHERE id = ANY(%s)",
    "SELECT id, text, title FROM banner WHERE id = ANY(%s)",
)


_PLACES: LiteralString = """
SELECT id, asn, org, country, country_name, region, city, cloud, cloud_service, cloud_region, latitude, longitude
FROM place WHERE id = ANY(%s)"""


def places(connection: Connection, ids: Iterable[UUID | None]) -> dict[UUID, Place]:
    """The places with these ids; None stands for one that is not known."""
    wanted = list({place for place in ids if place})
    rows = connection.execute(_PLACES, [wanted]) if wanted else ()
    return {row[0]: Place(*row[1:]) for row in rows}


class Stretch(NamedTuple):
    """A version of an endpoint as the tables have it; `until` is None for the newest."""

    state: str
    service: UUID | None
    certificate: UUID | None
    banner: UUID | None
    since: datetime
    confirmed: datetime
    until: datetime | None = None
    trust: float = 1.0
    sole: str = ""
    doubt: str = ""


class Details:
    """The content of some versions, by id."""

    def __init__(self, connection: Connection, stretches: Iterable[Stretch]) -> None:
        held = list(stretches)
        ids = [{s.service for s in held}, {s.certificate for s in held}, {s.banner for s in held}]
        with connection.pipeline():
            cursors = [
                connection.execute(statement, [[i for i in wanted if i is not None]])
                for statement, wanted in zip(_STATEMENTS, ids, strict=True)
            ]
            services, certificates, banners = (cursor.fetchall() for cursor in cursors)
        self._services = {row[0]: Service(*row[1:-2], cpe=tuple(row[-2])) for row in services}
        self._cpe23 = {row[0]: tuple(row[-1]) for row in services}
        self._certificates = {row[0]: _certificate(row[1:]) for row in certificates}
        self._banners = {row[0]: Banner(text, title) for row in banners for text, title in [row[1:]]}

    def version(self, stretch: Stretch) -> VersionRecord:
        """`stretch` with its content in full."""
        banner = self._banners.get(stretch.banner)
        return VersionRecord(
            state=STATE.get(stretch.state, stretch.state),
            since=stretch.since,
            confirmed=stretch.confirmed,
            until=stretch.until,
            service=self._services.get(stretch.service),
            certificate=self._certificates.get(stretch.certificate),
            banner=banner.text if banner else "",
            title=banner.title if banner else "",
            cpe23=self._cpe23.get(stretch.service, ()),
            trust=stretch.trust,
            sole=stretch.sole,
            doubt=stretch.doubt,
        )


def _certificate(row: tuple[Any, ...]) -> Certificate:
    sha256, cn, subject, issuer, sans, *rest = row
    return Certificate(sha256, cn, subject, issuer, tuple(sans), *rest)
