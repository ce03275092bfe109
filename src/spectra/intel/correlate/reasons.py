"""Why a finding is one, in words."""

from __future__ import annotations

from typing import Final

from spectra.intel.correlate.rules import name_of
from spectra.intel.correlate.versions import joined
from spectra.model.findings import Affected, Software

_SOURCES: Final = {
    "nvd": "the NVD",
    "cve": "the CVE record",
    "overrides": "a correction of the NVD's record",
    "osv": "OSV",
}
_SHOWN: Final = 3


def sentence(affected: Affected, software: Software) -> str:
    """One to three sentences: what was seen, what the source says, and what makes it less sure."""
    identity = next((i for i in software.identities if i.cpe == affected.cpe), None)
    how = f" ({identity.how})" if identity else ""
    said = f"{_SOURCES.get(affected.source, affected.source)} says that {_meant(affected)} is affected"
    parts = [f"{_title(affected.cpe)} was seen{how}; {said}."]
    if affected.requires:
        names = [_title(name) for name in affected.requires[:_SHOWN]]
        more = len(affected.requires) - _SHOWN
        parts.append(f"It also takes {' or '.join(names)}{f' or one of {more} more' if more > 0 else ''}, not seen.")
    if affected.patched and software.distribution:
        build = software.distribution
        name = f"{build.name} {build.release}".strip()
        parts.append(f"The build is that of {name}, which may have repaired it without changing the version.")
    return " ".join(parts)


def _meant(affected: Affected) -> str:
    name = _title(affected.criterion)
    if affected.range:
        return f"{name} {affected.range}"
    found = name_of(affected.criterion)
    if found is None or found.version == "*":
        return f"every version of {name}"
    return f"{name} of a version it does not tell" if found.version == "-" else name


def _title(cpe: str) -> str:
    """A name as a person writes it: `openbsd openssh 9.2 p1`."""
    name = name_of(cpe)
    if name is None:
        return cpe
    version = joined(name.version, name.update) if name.version not in ("*", "-") else ""
    product = name.product if name.vendor in name.product else f"{name.vendor} {name.product}"
    return f"{product} {version}".replace("\\", "").replace("_", " ").strip()
