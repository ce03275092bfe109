"""Vendors and products as people write them, as the NVD names them: `Apache Software Foundation`, `Apache HTTP Server`
to `apache:http_server`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from spectra.intel.enrich import cpename
from spectra.intel.enrich.cpename import Cpe
from spectra.intel.vulns.known import COMPANIES, PRODUCTS

_MAX_NAME: Final = 120
_MAX_CPE: Final = 1000
_NOBODY: Final = frozenset(
    {
        "",
        "n/a",
        "na",
        "-",
        "*",
        "unknown",
        "[unknown]",
        "none",
        "unspecified",
        "not applicable",
        "vendor",
        "product",
        "various",
    }
)
_SUFFIX: Final = re.compile(
    r",? +(?:inc|incorporated|corp|corporation|ltd|limited|llc|l\.l\.c|gmbh|co|company|ag|s\.a|sa|b\.v|bv|plc|pty|"
    r"software foundation|foundation|software|project|team|technologies|technology|group|international|org)\.?$|"
    r" co\., ?ltd\.?$|\((?:tm|r)\)$|[®™]$"
)
_UPDATED: Final = re.compile(
    r"([0-9][0-9a-z.]*?)[ _-]+"
    r"((?:p|patch|sp|update|u|hotfix|hf|rc|beta|alpha|cu|mr)[ _.-]?[0-9]+[0-9a-z]*|beta|alpha|rc)"
)
_LETTERS: Final = re.compile(r"[^\x21-\x7e]+")
_TARGETS: Final = (
    ("wordpress.org", "wordpress"),
    ("npmjs", "node.js"),
    ("pypi.", "python"),
    ("packagist", "php"),
    ("rubygems", "ruby"),
    ("plugins.jenkins", "jenkins"),
    ("marketplace.atlassian", "jira"),
    ("drupal.org", "drupal"),
)
_DISTRIBUTIONS: Final = (
    "access.redhat.com",
    "debian.org",
    "ubuntu.com",
    "launchpad.net",
    "opensuse",
    "suse.com",
    "alpine",
)
_SYSTEMS: Final = re.compile(
    r"(?:.*[ _-])?(?:firmware|os)|windows.*|.*(?:bsd|_linux|[a-z]os)|ios x[er]|junos.*|android|solaris|qts|quts hero|"
    r"esxi|linux[ _]kernel|diskstation manager"
)
"""Products that are operating systems by their name: the NVD has them under another part."""
_SUBTITLE: Final = re.compile(r" [\u2013\u2014|] .*$|[\xae\u2122]")
_ACRONYM: Final = re.compile(r" ?\([a-z0-9 .-]{1,12}\)")


def names(
    vendor: str | None, product: str | None, package: str | None, collection: str | None, cpes: Sequence[str]
) -> tuple[Cpe, ...]:
    """The names of a product without version, those of `cpes` if there are any; none where nobody can tell.

    A package of a distribution names none: which version of it is affected is the distribution's own count.
    """
    given = tuple(dict.fromkeys(_base(name) for text in cpes if (name := parsed(text)) and _named(name)))
    if package and collection and any(host in collection for host in _DISTRIBUTIONS):
        return ()
    if given:
        return given
    made = _derived((vendor or "")[: _MAX_NAME + 1], (product or package or "")[: _MAX_NAME + 1])
    if made is None:
        return ()
    target = next((word for host, word in _TARGETS if collection and host in collection), "")
    return (made._replace(target_sw=target) if target else made,)


def parsed(name: str) -> Cpe | None:
    """A CPE name in either form; None if it is in neither. As `cpename.parse`, which costs more than all the rest."""
    return _parsed(name) if len(name) <= _MAX_CPE else None


_parsed: Final = lru_cache(maxsize=8192)(cpename.parse)


def updated(text: str) -> tuple[str, str]:
    """A version and its update, as the NVD's names hold them apart: `8.8.15 p46` is `8.8.15` and `p46`."""
    found = _UPDATED.fullmatch(text)
    if not found:
        return text, ""
    update = re.sub(r"[ _.-]", "", found[2])
    return found[1], update


def _base(name: Cpe) -> Cpe:
    return name._replace(version=cpename.ANY, update=cpename.ANY)


def _named(name: Cpe) -> bool:
    return cpename.ANY not in name[:3] and not any("*" in value or "?" in value for value in name[1:3])


@lru_cache(maxsize=8192)
def _derived(vendor: str, product: str) -> Cpe | None:
    who, what = _words(vendor), _words(product)
    company = COMPANIES.get(_company(who), _company(who))
    own = _product(what, who, company)
    known = PRODUCTS.get((company, own)) or PRODUCTS.get(("", own) if who in _NOBODY else ("", ""))
    if known:
        return Cpe(*known)
    if who in _NOBODY or own in _NOBODY or max(len(vendor), len(product)) > _MAX_NAME:
        return None
    if not (re.search(r"[a-z0-9]", own) and re.search(r"[a-z0-9]", company)):
        return None
    part = "o" if _SYSTEMS.fullmatch(own) else "a"
    made = Cpe(part, cpename.quoted(company), cpename.quoted(own))
    return made if cpename.parse(str(made)) else None


def _words(text: str) -> str:
    return " ".join(_LETTERS.sub(" ", _SUBTITLE.sub("", text)).lower().split())


def _company(text: str) -> str:
    short = _SUFFIX.sub("", text)
    while short != text and short:
        text, short = short, _SUFFIX.sub("", short)
    return text.strip(" ,.")


def _product(text: str, *vendors: str) -> str:
    """A product without its vendor's name before it and the word software behind it."""
    if "/" in text:
        owner, _, repository = text.partition("/")
        text = repository if owner in vendors and repository and "/" not in repository else text
    for vendor in vendors:
        short = text.removeprefix(f"{vendor} ")
        if short != text and len(short) > 1:
            text = short
            break
    short = re.sub(r" +software$", "", _ACRONYM.sub("", text))
    return (short or text).strip()
