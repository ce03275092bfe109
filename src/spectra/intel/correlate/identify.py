"""What a service is: the CPE names of its software, how sure each is, what it runs on, and whose build it is.

From the most to the least certain: CPE names that the scanner gave, products known by name
(`intel/enrich/products.py`), what a Server header lists behind them (`OpenSSL/1.0.2k-fips PHP/5.4.16`), and products
that the feeds know by that name. Where several makers have a product of one name, the one most CVEs are about is taken,
and the finding is less sure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from spectra.intel.correlate.distributions import distribution, split
from spectra.intel.correlate.families import today
from spectra.intel.correlate.names import Known, Names, word
from spectra.intel.correlate.rules import name_of, product_of
from spectra.intel.correlate.systems import context_of
from spectra.intel.enrich.cpe import by_text, patched, versions
from spectra.intel.enrich.cpename import ANY, NA, Cpe, quoted
from spectra.model.findings import Identity, Software
from spectra.model.observation import Service
from spectra.model.vulns import Product

_BY_TOOL: Final = 0.95
_BY_NAME: Final = 0.9
_BESIDE: Final = 0.85  # a component that a header lists
_LEARNED: Final = 0.8
_MAKER_TOO: Final = 0.9  # learned, and its maker is named as well
_WEAK: Final = 0.35  # several makers, none of whom leads

_MAX_IDENTITIES: Final = 12
_MAX_WORDS: Final = 6

_COMPONENT: Final = re.compile(r"(?<![\w/.-])([A-Za-z][\w.+-]{1,40})/v?(\d[\w.~+:-]{0,60})")
_VERSION_WORD: Final = re.compile(r"v?\d+(?:[.:_-]\w+)*\S*$", re.IGNORECASE)
# What scanners write behind a product for the protocol it speaks.
_ROLES: Final = frozenset(
    {"httpd", "ftpd", "sshd", "smtpd", "imapd", "pop3d", "telnetd", "ldapd", "ntpd", "snmpd", "smbd", "nmbd", "nfsd"}
    | {"rsyncd", "tftpd", "http", "ftp", "ssh", "smtp", "imap", "pop3", "server", "service", "daemon", "proxy"}
    | {"webserver", "web", "admin", "config", "api", "rest"}
)
# What many makers call a product of theirs: not taken for one without its maker's name beside it.
_COMMON: Final = _ROLES | {
    *("camera", "router", "switch", "printer", "gateway", "firewall", "modem", "device", "phone", "ip camera", "nvr"),
    *("dvr", "control", "panel", "portal", "monitor", "manager", "management", "system", "network", "security"),
    *("application", "framework", "embedded", "linux", "windows", "unix", "mail", "storage", "nas", "controller"),
}


class _Text(NamedTuple):
    """A product and its version in words."""

    product: str
    version: str


def identify(service: Service, names: Names) -> Software:
    """All that can be told of `service`; without identities where nothing can."""
    said = _said(service)
    named = said.product or service.cpe
    system = distribution(said.version, service.extra, service.os, *_others(service)) if named else None
    found: dict[str, Identity] = {}

    def add(identities: Iterator[Identity]) -> None:
        for identity in identities:
            known = found.get(identity.cpe)
            if known is None or known.confidence < identity.confidence:
                found[identity.cpe] = identity

    add(_by_tool(service, said))
    if any(_is_application(cpe) for cpe in found):
        add(_besides(said, set(map(product_of, found))))
    else:
        add(_by_name(said, names))
    add(_components(service, names))
    ordered = sorted(found.values(), key=lambda i: -i.confidence)[:_MAX_IDENTITIES]
    return Software(tuple(ordered), context_of(service), system)


def products_of(software: Software) -> list[Product]:
    """The product of each identity."""
    return [product for i in software.identities if (product := product_of(i.cpe)) is not None]


def _said(service: Service) -> _Text:
    """Product and version; where a text holds both (`squid 5.7-2 Debian 12`), taken apart."""
    if service.version or not service.product:
        return _Text(service.product, service.version)
    parts = service.product.split()
    for i, part in enumerate(parts):
        if i and _VERSION_WORD.match(part):
            return _Text(" ".join(parts[:i]), " ".join(parts[i:]))
    return _Text(service.product, "")


def _others(service: Service) -> list[str]:
    """What CPE names say in attributes that scanners put distributions into."""
    names = [name for text in service.cpe if (name := name_of(text)) is not None]
    return [part for name in names for part in (name.version, name.other, name.target_sw) if part not in (ANY, NA)]


# By the tool ---------------------------------------------------------------------------------------------------------


def _by_tool(service: Service, said: _Text) -> Iterator[Identity]:
    for text in service.cpe:
        name = name_of(text)
        if name is None or product_of(text) is None:
            continue
        name = _today(name)
        if name.part == "a":
            yield Identity(str(_whole(name, said)), _BY_TOOL, "the scanner names it")
        elif name.version not in (ANY, NA):
            yield Identity(str(name), _BY_TOOL, "the scanner names its system")


def _today(name: Cpe) -> Cpe:
    product = today(Product(name.part, name.vendor, name.product))
    return name._replace(vendor=product.vendor, product=product.product)


def _whole(name: Cpe, said: _Text) -> Cpe:
    """`name` without what a distribution appended, its patch level apart, with the version told beside it."""
    if name.version in (ANY, NA) and said.version and _speaks_of(said.product, name):
        number, update = versions(said.version, split=patched(name._replace(version="1p1", update=ANY)).update != ANY)
        name = name._replace(version=quoted(number), update=quoted(update)) if number else name
    if name.version not in (ANY, NA):
        upstream, revision = split(name.version.replace("\\", ""))
        if revision and distribution(name.version.replace("\\", ""), *_attributes(name)):
            name = name._replace(version=quoted(upstream))
    if name.update == NA and name.version not in (ANY, NA):
        name = name._replace(update=ANY)
    return patched(name)._replace(other=ANY)


def _speaks_of(product: str, name: Cpe) -> bool:
    """Whether the words of a product mean that of `name`: a version told beside nginx is not that of WordPress."""
    known = by_text(product, "")
    if known is not None:
        return _today(known)[:3] == name[:3]
    own = word(name.product)
    return any(len(part) > 2 and (part in own or own in part) for part in _parts(product)) or not product


def _parts(text: str) -> list[str]:
    return re.findall(r"[A-Za-z0-9+.]+", text.lower())[:_MAX_WORDS]


def _attributes(name: Cpe) -> list[str]:
    return [value for value in name[5:] if value not in (ANY, NA)]


def _is_application(cpe: str) -> bool:
    product = product_of(cpe)
    return product is not None and product.part == "a"


# By its words --------------------------------------------------------------------------------------------------------


def _by_name(said: _Text, names: Names) -> Iterator[Identity]:
    """A product known by name, else whatever the feeds call so."""
    if not said.product:
        return
    known = by_text(said.product, said.version)
    if known is not None:
        yield Identity(str(known), _BY_NAME, f"{said.product} is known by that name")
        return
    number, update = _version(said.version)
    found = _learned(said.product, names)
    if found is None:
        return
    product, confidence = found
    name = patched(Cpe(product.part, product.vendor, product.product, quoted(number), quoted(update)))
    yield Identity(str(name), confidence, f"the feeds know a product called {said.product}")


def _besides(said: _Text, told: Collection[Product | None]) -> Iterator[Identity]:
    """The product in words where it is known for sure and no CPE name tells of it: nginx, in front of WordPress."""
    known = by_text(said.product, said.version)
    if known is not None and product_of(str(_today(known))) not in told:
        yield Identity(str(known), _BY_NAME, f"{said.product} is known by that name")


def _version(text: str) -> tuple[str, str]:
    """The upstream version in `text`; what the stricter reader will not take is taken word for word."""
    number, update = versions(text)
    if number or not text.strip():
        return number, update
    first = text.split(maxsplit=1)[0].strip("(),;")
    return (split(first)[0], "") if _VERSION_WORD.match(first) else ("", "")


def _learned(text: str, names: Names) -> tuple[Product, float] | None:
    """The product that `text` names, perhaps behind its maker's name or before a role (`httpd`)."""
    tries = [(maker, product) for maker, product in _tries(_parts(text)) if maker or product not in _COMMON]
    found = names.named([word(product) for _, product in tries])
    for maker, product in tries:
        known = found.get(word(product))
        if known and (chosen := _chosen(known, word(maker))):
            return chosen
    return None


def _tries(parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Ways to read words as a maker and a product: all of them, without the maker, without roles at the end."""
    end = len(parts)
    while end:
        yield "", " ".join(parts[:end])
        for start in range(1, end):
            yield " ".join(parts[:start]), " ".join(parts[start:end])
        if parts[end - 1] not in _ROLES:
            return
        end -= 1


_LEAD: Final = 3


def _chosen(known: Sequence[Known], maker: str) -> tuple[Product, float] | None:
    """Of products of one name the one that is meant. Of a name behind others, only one whose maker these name."""
    ranked = sorted((k for k in known if k.product.part != "h"), key=lambda k: (-k.vulns, k.product))
    if maker:
        made = [k for k in ranked if _is_maker(word(k.product.vendor), maker)]
        return (made[0].product, _MAKER_TOO) if made else None
    if not ranked:
        return None
    first = ranked[0]
    own = sum(k.vulns for k in ranked if k is first or 0 != k.family == first.family)
    rest = sum(k.vulns for k in ranked) - own
    if own >= _LEAD * rest:
        return first.product, _LEARNED
    return first.product, max(_WEAK, round(_LEARNED * own / (own + rest), 2))


def _is_maker(vendor: str, words: str) -> bool:
    return len(words) > 1 and (vendor.startswith(words) or words.startswith(vendor))


# What a header lists -------------------------------------------------------------------------------------------------


def _components(service: Service, names: Names) -> Iterator[Identity]:
    """`(CentOS) OpenSSL/1.0.2k-fips PHP/5.4.16` names two more products; only those that are known for sure."""
    found: list[tuple[str, str]] = _COMPONENT.findall(service.extra)
    learned = names.named([word(product) for product, _ in found if by_text(product, "") is None])
    for product, version in found:
        name = by_text(product, version)
        if name is None:
            known = [k for k in learned.get(word(product), ()) if k.product.part == "a"]
            own = [k for k in known if word(k.product.vendor) == word(product)]
            chosen = _chosen(own or known, "")
            if chosen is None or chosen[1] < _LEARNED:
                continue
            number, update = _version(version)
            name = Cpe("a", chosen[0].vendor, chosen[0].product, quoted(number), quoted(update))
        if name.version != ANY:
            yield Identity(str(patched(name)), _BESIDE, f"its header lists {product}/{version}")
