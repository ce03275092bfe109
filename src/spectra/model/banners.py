"""How the tables of products are read: rows to services, CPE names, and the versions of MySQL."""

from __future__ import annotations

import re
from collections.abc import Iterable

from spectra.model.observation import Service
from spectra.model.products import Product

_CPE_PLAIN = re.compile(r"[A-Za-z0-9._-]")

# 5.5.5- is MariaDB's prefix for replicas that know no ten; distributions append with - or +, old MySQL with a letter.
_MYSQL = re.compile(r"(?:5\.5\.5-)?(\d{1,4}(?:\.\d{1,4}){1,4}(?!\d)(?:[a-z](?![a-z0-9]))?)(.{0,60})")
# A proxy says its own version behind that of the servers it stands for.
_MAXSCALE = re.compile(r" ?(\d{1,3}(?:\.\d{1,4}){1,3})-maxscale", re.IGNORECASE)
_MYSQL_FORKS = (
    (r"maria", "MariaDB", "cpe:/a:mariadb:mariadb"),
    (r"percona|^rel\d|^rc\d\d\.|^\d\d\.\d-\d{3}", "Percona Server", "cpe:/a:percona:percona_server"),
    (r"", "MySQL", "cpe:/a:oracle:mysql"),
)


def cpe(prefix: str, version: str, update: str = "") -> tuple[str, ...]:
    """The CPE 2.2 URI of `prefix` with version and update; others than plain characters percent-encoded (NISTIR 7695).

    None where there is no prefix.
    """
    if not prefix:
        return ()
    parts = [prefix, _quoted(version)] if version else [prefix]
    return (":".join([*parts, _quoted(update)] if version and update else parts),)


def match(rows: Iterable[Product], text: str, name: str, *, start: bool = False) -> Service | None:
    """The service `name` by the first row whose pattern is in `text` (at its start, if asked)."""
    found = find(rows, text, start=start)
    return told(*found, name) if found else None


def find(rows: Iterable[Product], text: str, *, start: bool = False) -> tuple[Product, re.Match[str]] | None:
    """The first row whose pattern is in `text`, and where."""
    for row in rows:
        found = row.pattern.match(text) if start else row.pattern.search(text)
        if found:
            return row, found
    return None


def told(row: Product, found: re.Match[str], name: str) -> Service:
    """The service that a row stands for. Its update (`-P1`, `SP2`) is part of the version that is shown."""
    groups = found.groupdict(default="")
    version, update = groups.get("version", ""), groups.get("update", "").strip()
    between = " " if update and update[0] not in "-." else ""
    return Service(
        name,
        row.name or groups.get("name", ""),
        version + between + update,
        groups.get("extra", ""),
        cpe=cpe(row.cpe, version, update.lstrip("-.")),
    )


def mysql(version: str) -> Service | None:
    """MySQL, or which of its forks, by the version in its greeting; what is appended to that is extra."""
    found = _MYSQL.match(version)
    if found is None:
        return None
    number, extra = found[1], found[2].lstrip("-.")
    if proxy := _MAXSCALE.match(extra):
        return Service("mysql", "MariaDB MaxScale", proxy[1], number, cpe=cpe("cpe:/a:mariadb:maxscale", proxy[1]))
    product, prefix = next((p, c) for pattern, p, c in _MYSQL_FORKS if re.search(pattern, extra, re.IGNORECASE))
    return Service("mysql", product, number, extra, cpe=cpe(prefix, number))


def _quoted(text: str) -> str:
    return "".join(c if _CPE_PLAIN.fullmatch(c) else f"%{ord(c):02x}" for c in text.lower())
