"""CPE names of services, in the 2.3 form."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from spectra.intel.enrich.cpename import ANY, Cpe, parse, quoted
from spectra.intel.enrich.products import NAMES, UPDATES
from spectra.model.observation import Service

_MAX_NAMES: Final = 16

# `5.5.5-` is what MariaDB says before its version, for replicas that know MySQL 5 alone.
_MARIADB: Final = re.compile(r"(?:5\.5\.5-)?(\d+\.\d+\.\d+)-MariaDB\b", re.IGNORECASE)
_VERSION: Final = re.compile(
    r"""v?(?P<number>\d{1,8}(?:\.\d{1,8}){0,5})
        (?P<patch>(?:-?p\d{1,3}|[a-z]\d{0,2})?)
        (?P<pre>(?:[.-]?(?:alpha|beta|rc|b|a)[.-]?\d{0,4})?)
        (?=$|[ +~,;()/_-])""",
    re.VERBOSE | re.IGNORECASE,
)
# What a scanner writes that is not sure: `2.0.8 or later`, `8.3.0 - 8.3.7`, `4.X`.
_UNSURE: Final = re.compile(r"\bor (?:later|earlier|higher|lower)\b|\d\s+-\s+\d|\.[xX]\b|[<>]", re.IGNORECASE)


@lru_cache(maxsize=1 << 14)  # services are few and their endpoints many
def cpe23(service: Service) -> tuple[str, ...]:
    """The CPE 2.3 names of a service, sorted: its tool's own, else those its product surely means, else ().

    A patch level that the dictionary keeps in the update is moved there (`openssh 9.2p1` is version 9.2, update p1). A
    tool's name without version takes the version told beside it, where both name the same product.
    """
    said = by_text(service.product, service.version)
    own = [cpe for name in service.cpe[:_MAX_NAMES] if (cpe := parse(name)) is not None]
    if not own:
        return (str(said),) if said else ()
    return tuple(sorted({str(_completed(patched(cpe), said)) for cpe in own}))


def by_text(product: str, version: str) -> Cpe | None:
    """The name of a product by its own name and version; None where the product is not known for sure."""
    found = NAMES.get(product.strip().lower())
    if found is None:
        return None
    maria = _MARIADB.match(version.strip())
    if maria is not None and found == ("oracle", "mysql"):
        found = ("mariadb", "mariadb")
    number, update = versions(version, split=found in UPDATES)
    vendor, name = (quoted(word) for word in found)
    return Cpe("a", vendor, name, quoted(number), quoted(update))


def versions(text: str, *, split: bool = False) -> tuple[str, str]:
    """Version and update in the text of a version, without what a distribution put behind it; "" where it is not sure.

    `9.2p1 Debian 2+deb12u3` is `9.2p1`, and with `split` `9.2` and `p1`; `8.0.32-0ubuntu0.22.04.2` is `8.0.32`.
    """
    text = text.strip()
    maria = _MARIADB.match(text)
    if maria is not None:
        return maria[1], ""
    found = _VERSION.match(text)
    if found is None or _UNSURE.search(text):
        return "", ""
    number, patch, pre = found["number"], found["patch"].lower(), found["pre"].lower()
    if split and patch:
        return number, patch.removeprefix("-")
    return number + patch + pre, ""


def patched(cpe: Cpe) -> Cpe:
    """`cpe` with the patch level of its version as its update, for products whose dictionary entries have it there."""
    if (cpe.vendor, cpe.product) not in UPDATES or cpe.version in (ANY, "-") or cpe.update != ANY:
        return cpe
    number, update = versions(cpe.version.replace("\\", ""), split=True)
    return cpe._replace(version=quoted(number), update=quoted(update)) if number else cpe


def _completed(cpe: Cpe, said: Cpe | None) -> Cpe:
    if said is None or cpe.version != ANY or cpe[:3] != said[:3]:
        return cpe
    return cpe._replace(version=said.version, update=said.update)
