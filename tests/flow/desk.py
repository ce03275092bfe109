"""What the tests of flow work with: a contributor who signs, a clock that is set, and an ingest on a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from spectra.flow.submission import Ingest
from spectra.identity import dsse, payload
from spectra.identity.keys import SigningKey
from spectra.ingest.gate import Policy
from spectra.ingest.rate import RateLimiter
from spectra.model.envelope import Payload
from spectra.store import keys
from spectra.store.blobs import BlobStore
from spectra.store.database import Database

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)

# Tables that hold what was seen, with the columns that do not depend on when or in which order rows were made.
GRAPH = {
    "host": "ip, first_seen, last_seen, os, os_at, mac, vendor, mac_at",
    "hostname": "*",
    "name": "*",
    "endpoint": "*",
    "endpoint_version": "*",
    "evidence": "*",
    "service": "id, name, product, version, extra, os, device, tunnel, cpe",
    "banner": "id, text, title",
    "remark": "*",
    "certificate": "id, sha256, subject_cn, subject, issuer, sans, not_before, not_after, serial, key",
    "sighting": "ip, seen_at, rest, ports, states, services, certificates, banners, extra",
    "name_sighting": "name, seen_at, remarks",
    "silence": "net, seen_at",
    "observation": "observation_id, contributor, nonce, keyid, signature, header, trust, status, format, facts, counts,"
    " problems, error, swept",
}


class Clock:
    """Tells the time it was set to."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self.now += by


class Contributor:
    """Signs what it submits."""

    def __init__(self, name: str, clock: Clock, key: SigningKey | None = None) -> None:
        self.name = name
        self.key = key or SigningKey.generate()
        self._clock = clock

    def register(self, database: Database, role: str = "contributor") -> Contributor:
        """Make this contributor known."""
        public = self.key.public
        keys.register(
            database, contributor=self.name, role=role, public_key=public.raw, keyid=public.keyid, now=self._clock()
        )
        return self

    def payload(self, output: bytes, **said: Any) -> Payload:
        """What is going to be signed; `said` as `identity.payload.build` has it."""
        fields: dict[str, Any] = {"tool": "nmap", "contributor": self.name, "now": self._clock()}
        return payload.build(output=output, **(fields | said))

    def envelope(self, output: bytes, **said: Any) -> bytes:
        """A signed submission of a tool's output."""
        return self.seal(self.payload(output, **said))

    def seal(self, content: Payload) -> bytes:
        """A payload, signed."""
        return dsse.sign(self.key, payload.encode(content))


def make_ingest(database: Database, blobs: BlobStore, clock: Clock, kind: type[Ingest] = Ingest) -> Ingest:
    """An ingest with the bounds of the defaults, without a limit on the rate."""
    return kind(
        database,
        blobs,
        policy=Policy(max_envelope_bytes=32 << 20, max_age_s=86400, max_ahead_s=300, rate_per_minute=0),
        limiter=RateLimiter(0),
        max_output_bytes=64 << 20,
        clock=clock,
    )


def naabu(*found: tuple[str, int], at: datetime = NOON) -> bytes:
    """naabu's JSON lines for these addresses and ports."""
    time = at.isoformat().replace("+00:00", "Z")
    lines = (f'{{"ip":"{ip}","port":{port},"protocol":"tcp","timestamp":"{time}"}}\n' for ip, port in found)
    return "".join(lines).encode()


def nmap(*hosts: str, start: datetime = NOON) -> bytes:
    """An nmap document around these host elements."""
    seconds = int(start.timestamp())
    return (
        f'<?xml version="1.0"?><nmaprun scanner="nmap" args="nmap" version="7.93" start="{seconds}">'
        f'<scaninfo type="syn" protocol="tcp" numservices="1000" services="1-1000"/>{"".join(hosts)}'
        f'<runstats><finished time="{seconds + 60}" exit="success"/></runstats></nmaprun>'
    ).encode()


def host(ip: str, *ports: str, at: datetime = NOON, rest: str = "") -> str:
    """A host element; `rest` is the state of the swept ports that are not shown."""
    extra = f'<extraports state="{rest}" count="999"/>' if rest else ""
    return (
        f'<host endtime="{int(at.timestamp())}"><status state="up"/><address addr="{ip}" addrtype="ipv4"/>'
        f"<ports>{extra}{''.join(ports)}</ports></host>"
    )


def port(number: int, service: str = "", state: str = "open", script: str = "") -> str:
    """A port element; `service` is a product that nmap identified."""
    known = f'<service name="http" product="{service}" method="probed" conf="10"/>' if service else ""
    return f'<port protocol="tcp" portid="{number}"><state state="{state}"/>{known}{script}</port>'


def samples(shared_data: Path) -> list[Path]:
    """Real scans of every kind that is read here."""
    scans = shared_data / "scans"
    found = [*sorted((scans / "nmap").iterdir()), *sorted((scans / "naabu").iterdir())]
    return [*found, *sorted((scans / "masscan").iterdir()), *sorted((scans / "httpx").iterdir())]


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    with database.connection() as connection:
        return connection.execute(query.encode()).fetchall()


def graph(database: Database) -> dict[str, list[str]]:
    """Everything that was seen, each table in order."""
    return {
        table: sorted(map(repr, rows(database, f"SELECT {columns} FROM {table}"))) for table, columns in GRAPH.items()
    }


def settled(database: Database) -> list[tuple[str, int]]:
    """How many entries settle each observation."""
    query = "SELECT subject, count(*) FROM provenance WHERE kind = 'observation.settled' GROUP BY subject"
    return [(subject, count) for subject, count in rows(database, query)]
