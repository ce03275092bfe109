"""What a product's names in a VEX document say: a place, software by its CPE name, or a package by its URL.

Package URLs (https://github.com/package-url/purl-spec) of a distribution name one of its builds, `pkg:generic`,
`pkg:github` and `pkg:bitnami` software wherever it is from; packages of programming languages are no services.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from spectra.errors import BadRequest
from spectra.intel.correlate import word
from spectra.intel.enrich.cpename import ANY, NA, Cpe
from spectra.intel.vex.names import is_pattern, whole
from spectra.model.findingrecords import read_address, read_id
from spectra.model.findings import Software

MAX_NAME: Final = 1000
PLAIN_TYPES: Final = ("generic", "github", "bitnami")
BUILT_TYPES: Final = ("deb", "rpm", "apk")
"""Types of packages of distributions."""
_PORTS: Final = {"http": 80, "https": 443, "ssh": 22, "ftp": 21, "ldap": 389, "ldaps": 636, "smtp": 25, "imap": 143}
_HOST: Final = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_SPOT: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:/\[\]]+))(?::([0-9]{1,5}))?(?:/(tcp|udp|sctp))?")
_PURL: Final = re.compile(r"pkg:/*([a-z0-9.+-]+)/(?:([^@?#]+)/)?([^/@?#]+)(?:@([^?#]*))?(?:\?([^#]*))?(?:#.*)?")
_EPOCH: Final = re.compile(r"^[0-9]+:")
# What packages of distributions are called otherwise than their software, each as `word` has it.
_PACKAGES: Final = {
    "apache2": "httpserver", "apache": "httpserver", "httpd": "httpserver", "bind9": "bind", "exim4": "exim",
    "dovecotcore": "dovecot", "dovecotimapd": "dovecot", "proftpdbasic": "proftpd", "proftpdcore": "proftpd",
    "mysqlserver": "mysql", "mariadbserver": "mariadb", "redisserver": "redis", "cupsdaemon": "cups", "squid3": "squid",
    "memcache": "memcached", "vsftpd": "vsftpd",
}  # fmt: skip
_SUFFIX: Final = re.compile(r"(?<=[a-z])(?:-(?:server|client|core|common|light|full|extras|daemon|bin|basic))+$")
_NUMBERED: Final = re.compile(r"(?<=[a-z])-?[0-9]+(?:\.[0-9]+)*$")  # postgresql-15, tomcat9, php8.2


class Spot(NamedTuple):
    """An endpoint or a host by its address."""

    ip: str
    port: int | None = None
    protocol: str = ""


class Site(NamedTuple):
    """The same by a name of the host."""

    name: str
    port: int | None = None
    protocol: str = ""


class Package(NamedTuple):
    """A package: `space` is the namespace, such as the distribution. Without a version any is meant."""

    type: str
    space: str
    name: str
    version: str

    @property
    def built(self) -> bool:
        """Whether it is of a distribution."""
        return self.type in BUILT_TYPES

    @property
    def words(self) -> tuple[str, ...]:
        """What its software may be called, in the normal form of `correlate.word`."""
        if not self.built:
            return (word(self.name),)
        short = _SUFFIX.sub("", self.name)
        found = [word(self.name), word(short), word(_NUMBERED.sub("", short))]
        return tuple(dict.fromkeys([*(_PACKAGES.get(one, one) for one in found), *found]))


Meant = Spot | Site | Cpe | Package


def read(text: str) -> Meant | None:
    """What a name says; None for one that says nothing here."""
    text = text.strip()
    if not text or len(text) > MAX_NAME:
        return None
    lower = text.lower()
    if lower.startswith("cpe:"):
        name = whole(text)
        return name if name and name.product not in (ANY, NA) and not _wild(name) else None
    if lower.startswith("pkg:"):
        return _package(text)
    return None if lower.startswith("urn:") else _place(text, lower)


def runs(package: Package, cpe: Cpe) -> bool:
    """Whether software of this name is a package that is of no distribution, in its version."""
    if word(cpe.product) not in package.words:
        return False
    if not package.version:
        return True
    asked = package.version.lower().removeprefix("v")
    update = "" if cpe.update in (ANY, NA) else cpe.update
    known = _plain(cpe.version), _plain(cpe.version + update), _plain(f"{cpe.version}_{update}")
    return _plain(asked) in known


def is_build(package: Package, software: Software, cpe: Cpe, said: str) -> bool:
    """Whether software whose version the service tells as `said` is that build of a distribution.

    Its whole version has to be told, with what the distribution appended: without, any of its builds may run there.
    """
    build = software.distribution
    if build is None or word(cpe.product) not in package.words:
        return False
    if package.space and _family(build.name) != _family(package.space.lower()):
        return False
    if not package.version:
        return True
    version = _EPOCH.sub("", package.version)
    if _EPOCH.sub("", build.version) == version:
        return True
    upstream, _, revision = version.rpartition("-")
    words = said.split()
    return bool(upstream and words) and words[0] == upstream and revision in words[1:]


def _family(distribution: str) -> str:
    return {"redhat": "rhel", "centos": "rhel", "rocky": "rhel", "almalinux": "rhel"}.get(distribution, distribution)


def _plain(version: str) -> str:
    return re.sub(r"[\\_-]", "", version)


def _wild(name: Cpe) -> bool:
    """Whether the product or its maker is told by a wildcard: no index finds those."""
    return is_pattern(Cpe(vendor=name.vendor, product=name.product))


def _package(text: str) -> Package | None:
    found = _PURL.fullmatch(text) or _PURL.fullmatch(text[:4].lower() + text[4:])
    if found is None:
        return None
    kind, space, name, version, _ = (unquote(part or "") for part in found.groups())
    return Package(kind.lower(), space.strip("/").lower(), name.lower(), version)


def _place(text: str, lower: str) -> Spot | Site | None:
    if "~" in text:
        return _by_id(text)
    if "://" in text:
        return _by_url(text)
    if ip := read_address(text):
        return Spot(ip)
    found = _SPOT.fullmatch(lower)
    if found is None or (found[3] and int(found[3]) > 65535) or (found[4] and not found[3]):
        return None
    port = int(found[3]) if found[3] else None
    protocol = (found[4] or "tcp") if port is not None else ""
    host = found[1] or found[2]
    if ip := read_address(host):
        return Spot(ip, port, protocol)
    return Site(host, port, protocol) if _HOST.fullmatch(host) else None


def _by_id(text: str) -> Spot | None:
    """`IP~PORT~PROTOCOL`, or the id of a finding."""
    try:
        key = read_id(text if text.count("~") == 3 else f"{text}~CVE-2000-0000")
    except BadRequest:
        return None
    return Spot(key.ip, key.port, key.protocol)


def _by_url(text: str) -> Spot | Site | None:
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    if parts.path.strip("/") or parts.query or parts.fragment:
        return None  # of something there: https://openvex.dev/docs/1 is no service
    port = port if port is not None else _PORTS.get(parts.scheme)
    protocol = ("udp" if parts.scheme == "udp" else "tcp") if port is not None else ""
    if ip := read_address(host):
        return Spot(ip, port, protocol)
    return Site(host, port, protocol) if _HOST.fullmatch(host) else None
