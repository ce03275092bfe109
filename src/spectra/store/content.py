"""Services, banners, certificates, remarks and places: immutable rows, each written once.

Services, banners, remarks and places are written before the transaction that refers to them, on a connection of their
own: a row without a reader is harmless, two transactions that wait for each other's service rows are not. Their WAL
precedes the referring commit's, so that commit's flush makes them durable too; only then are they remembered, because
a server that dies before that flush forgets them.

A certificate's row is not content-addressed (its id is the hash of a DER form that not every tool gives), so what it
says has to have been said by an accepted observation: it is written in the transaction itself, last of all.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from spectra.model.facts import Place
from spectra.model.observation import Banner, Certificate, Evidence, Service
from spectra.store.database import Connection, Database
from spectra.store.rows import content_id, encode, remark_id

_SERVICE = """
INSERT INTO service (id, name, product, version, extra, os, device, tunnel, cpe, cpe23)
SELECT id, name, product, version, extra, os, device, tunnel, cpe, cpe23 FROM json_to_recordset(%s::json) AS r
  (id uuid, name text, product text, version text, extra text, os text, device text, tunnel text, cpe text[],
   cpe23 text[])
ORDER BY id ON CONFLICT DO NOTHING"""
_BANNER = """
INSERT INTO banner (id, text, title)
SELECT id, text, title FROM json_to_recordset(%s::json) AS r (id uuid, text text, title text)
ORDER BY id ON CONFLICT DO NOTHING"""
_CERTIFICATE = """
INSERT INTO certificate AS c
  (id, sha256, subject_cn, subject, issuer, sans, not_before, not_after, serial, key)
SELECT id, decode(sha256, 'hex'), subject_cn, subject, issuer, sans, not_before, not_after, serial, key
FROM json_to_recordset(%s::json) AS r (id uuid, sha256 text, subject_cn text, subject text, issuer text,
  sans text[], not_before timestamptz, not_after timestamptz, serial text, key text)
ORDER BY id ON CONFLICT (sha256) DO UPDATE SET
  subject_cn = excluded.subject_cn, subject = excluded.subject, issuer = excluded.issuer, sans = excluded.sans,
  not_before = excluded.not_before, not_after = excluded.not_after, serial = excluded.serial, key = excluded.key
WHERE c.key = '' AND excluded.key <> ''"""
_REMARK = """
INSERT INTO remark (id, kind, key, severity, data)
SELECT id, kind, key, severity, data
FROM json_to_recordset(%s::json) AS r (id uuid, kind text, key text, severity text, data text)
ORDER BY id ON CONFLICT DO NOTHING"""

_PLACE = """
INSERT INTO place (id, asn, org, country, country_name, region, city, cloud, cloud_service, cloud_region,
  latitude, longitude)
SELECT id, asn, org, country, country_name, region, city, cloud, cloud_service, cloud_region, latitude, longitude
FROM json_to_recordset(%s::json) AS r (id uuid, asn int8, org text, country text, country_name text, region text,
  city text, cloud text, cloud_service text, cloud_region text, latitude float8, longitude float8)
ORDER BY id ON CONFLICT DO NOTHING"""

_REMEMBERED: Final = 200_000  # ids, about 20 MB
_MANY_CERTIFICATES: Final = 10_000  # held until the end of a submission, about 10 MB
_PROVEN: Final = {True: "+der", False: ""}


class ServiceRow(msgspec.Struct):
    """A row of `service`."""

    id: str
    name: str
    product: str
    version: str
    extra: str
    os: str
    device: str
    tunnel: str
    cpe: tuple[str, ...]
    cpe23: tuple[str, ...]


NameCpe = Callable[[Service], tuple[str, ...]]
"""The CPE 2.3 names of a service."""


def no_cpe(service: Service) -> tuple[str, ...]:
    """The naming of whoever has none."""
    return ()


class Content:
    """Content seen in one batch, and the process-wide memory of what the database already has."""

    def __init__(self, known: Known, cpe: NameCpe = no_cpe) -> None:
        self._known = known
        self._cpe = cpe
        self._written = Known()  # by this transaction, not durable yet
        self._services: dict[str, Service] = {}
        self._banners: dict[str, Banner] = {}
        self._certificates: dict[str, Certificate] = {}
        self._remarks: dict[str, Evidence] = {}
        self._places: dict[str, Place] = {}

    def service(self, service: Service) -> str:
        """The id of `service`, noted for writing if it is new."""
        key = content_id(service.fingerprint)
        if self._is_new(key):
            self._services[key] = service
        return key

    def banner(self, banner: Banner) -> str:
        """The id of `banner`, noted for writing if it is new."""
        key = content_id(banner.fingerprint)
        if self._is_new(key):
            self._banners[key] = banner
        return key

    def place(self, place: Place) -> str:
        """The id of `place`, noted for writing if it is new."""
        key = content_id(place.fingerprint)
        if self._is_new(key):
            self._places[key] = place
        return key

    def certificate(self, certificate: Certificate) -> str:
        """The id of `certificate`. Only parsers that had the DER form fill `key`: such a one replaces a claimed one."""
        key = content_id(certificate.fingerprint)
        if self._is_new(key + _PROVEN[bool(certificate.key)]):
            noted = self._certificates.setdefault(key, certificate)
            if certificate.key and not noted.key:
                self._certificates[key] = certificate
        return key

    def remark(self, evidence: Evidence) -> str:
        """The id of `evidence`, noted for writing if it is new."""
        key = remark_id(evidence)
        if self._is_new(key):
            self._remarks[key] = evidence
        return key

    def write(self, database: Database) -> None:
        """Write what was noted, without certificates, and forget it."""
        batches: list[tuple[str, list[object]]] = [
            (_SERVICE, [_service_row(key, s, self._cpe(s)) for key, s in self._services.items()]),
            (_BANNER, [{"id": key, "text": b.text, "title": b.title} for key, b in self._banners.items()]),
            (_REMARK, [_remark_row(key, e) for key, e in self._remarks.items()]),
            (_PLACE, [place_row(key, p) for key, p in self._places.items()]),
        ]
        if any(rows for _, rows in batches):
            with database.aside() as connection:
                for statement, rows in batches:
                    if rows:
                        connection.execute(statement.encode(), [encode(rows).decode()])
        for noted in (self._services, self._banners, self._remarks, self._places):
            self._written.add(noted)
            noted.clear()

    @property
    def many_certificates(self) -> bool:
        """Whether so many certificates are noted that they should be written now."""
        return len(self._certificates) >= _MANY_CERTIFICATES

    def write_certificates(self, connection: Connection) -> None:
        """Write the certificates noted, inside the transaction of `connection`, and forget them.

        Their rows stay locked until it ends, so this comes last: who waits for them waits for no disk.
        """
        if self._certificates:
            rows = [_certificate_row(key, c) for key, c in self._certificates.items()]
            connection.execute(_CERTIFICATE, [encode(rows).decode()])
            self._written.add(key + _PROVEN[bool(c.key)] for key, c in self._certificates.items())
            self._written.add(self._certificates)
            self._certificates.clear()

    def remember(self) -> None:
        """What was written is durable: nobody of this process has to write it again."""
        self._known.add(self._written)

    def _is_new(self, key: str) -> bool:
        return key not in self._known and key not in self._written


def _service_row(key: str, s: Service, cpe23: tuple[str, ...]) -> ServiceRow:
    return ServiceRow(key, s.name, s.product, s.version, s.extra, s.os, s.device, s.tunnel, s.cpe, cpe23)


def place_row(key: str, place: Place) -> dict[str, object]:
    """A row of `place`."""
    return {"id": key, **msgspec.structs.asdict(place)}


def _certificate_row(key: str, certificate: Certificate) -> dict[str, object]:
    fields = msgspec.structs.fields(certificate)
    return {"id": key, **{f.name: getattr(certificate, f.name) for f in fields}}


def _remark_row(key: str, evidence: Evidence) -> dict[str, object]:
    return {
        "id": key,
        "kind": evidence.kind,
        "key": evidence.key,
        "severity": evidence.severity,
        "data": evidence.data,
    }


class Known:
    """Ids that the database is known to have. Bounded: the older half is forgotten when it is full."""

    def __init__(self, size: int = _REMEMBERED) -> None:
        self._size = size
        self._young: set[str] = set()
        self._old: set[str] = set()
        self._lock = threading.Lock()

    def __contains__(self, key: object) -> bool:
        return key in self._young or key in self._old

    def __iter__(self) -> Iterator[str]:
        return itertools.chain(self._young, self._old)

    def add(self, keys: Iterable[str]) -> None:
        """Remember `keys`, which have been committed and flushed."""
        with self._lock:
            self._young.update(keys)
            if len(self._young) > self._size // 2:
                self._old, self._young = self._young, set()

    def clear(self) -> None:
        """Forget everything, as after the database was replaced underneath."""
        with self._lock:
            self._young, self._old = set(), set()
