"""How urgent a weakness is, and a finding of it. Both numbers are from 0 to 100 and always come with their reasons.

The risk of a CVE (`risk`) asks what a practitioner asks, in this order:

1. Is it exploited already? In CISA's catalogue (KEV): 85 + impact * 10, and 5 more where ransomware uses it. Nothing
   that is not in the catalogue reaches 85. Exploited according to CISA's SSVC alone: at least 70 + impact * 14.
2. Else, how likely is that, and how bad would it be? `84 * impact^0.6 * (0.5 + 0.5 * likelihood)`.

- Impact is CVSS / 10 (newest version); without a score the middle of its severity; without one 0.5. The power keeps a
  likely medium weakness above an unlikely critical one.
- Likelihood is EPSS on a logarithmic scale, because half of all CVEs score below 0.001: 0.0001 is 0, 0.001 is 0.25,
  0.01 is 0.5, 0.1 is 0.75, 1 is 1. A public exploit (SSVC `poc`) is at least 0.6. Without EPSS, as of a CVE of today,
  it is 0.5: not knowing is no all-clear.

The priority of a finding (`priority`) is the risk, lowered by what is known of the place:

- times 0.5 + 0.5 * confidence: a guess is still worth a look,
- times 0.8 where the address is not reachable from the Internet,
- times 0.7 where a distribution has possibly repaired this version already; its confidence says so too.

From 80 on it is critical, from 55 high, from 30 medium.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from math import log10
from typing import Final, Literal

import msgspec

Level = Literal["critical", "high", "medium", "low"]

LEVELS: Final[tuple[tuple[float, Level], ...]] = ((80, "critical"), (55, "high"), (30, "medium"), (0, "low"))
"""The least score of each level."""

_KEV: Final = 85.0
_ACTIVE: Final = 70.0
_SPAN: Final = 14.0  # what impact adds to an exploited one
_MOST: Final = 84.0  # of what is not in the catalogue
_POC: Final = 0.6
_UNKNOWN: Final = 0.5
_HIDDEN: Final = 0.8
_REPAIRED: Final = 0.7
_MIDDLES: Final = {"none": 0.0, "low": 2.5, "medium": 5.5, "high": 8.0, "critical": 9.5}


class Priority(msgspec.Struct, frozen=True):
    """How urgent a finding is: 0..100, the word for it, and one sentence for each thing that made it so."""

    score: float
    level: Level
    reasons: tuple[str, ...]


def risk(  # noqa: PLR0917 - the columns of a CVE, in their order
    cvss: float | None, severity: str, epss: float | None, kev: bool, ransomware: bool, exploitation: str
) -> float:
    """The risk of a CVE, 0..100.

    `severity` counts where there is no score; `exploitation` is SSVC's `none`, `poc` or `active`.
    """
    impact = _impact(cvss, severity)
    if kev:
        return round(_KEV + 10 * impact + (5 if ransomware else 0), 1)
    likelihood = _likelihood(epss)
    if exploitation == "poc":
        likelihood = max(likelihood, _POC)
    expected = _MOST * impact**0.6 * (0.5 + 0.5 * likelihood)
    if exploitation == "active":
        expected = max(expected, _ACTIVE + _SPAN * impact)
    return round(min(expected, _MOST), 1)


def why(  # noqa: PLR0917 - as risk
    cvss: float | None, severity: str, epss: float | None, kev: bool, ransomware: bool, exploitation: str
) -> tuple[str, ...]:
    """The reasons of `risk`: a sentence for each of its factors, the weightiest first."""
    reasons: list[str] = []
    if kev:
        also = ", also by ransomware" if ransomware else ""
        reasons.append(f"It is exploited{also} (CISA KEV).")
    elif exploitation == "active":
        reasons.append("It is exploited according to CISA's SSVC.")
    elif exploitation == "poc":
        reasons.append("An exploit is public according to CISA's SSVC.")
    if epss is None:
        reasons.append("EPSS has no estimate of it yet, which counts as an even chance.")
    else:
        reasons.append(f"EPSS puts the chance of its exploitation within 30 days at {_percent(epss)}.")
    if cvss is not None:
        reasons.append(f"CVSS rates it {cvss:.1f} of 10{f' ({severity})' if severity else ''}.")
    else:
        rated = (
            f"Its severity is {severity}, without a CVSS score." if severity else "Nobody has rated it with CVSS yet."
        )
        reasons.append(rated)
    return tuple(reasons)


def priority(risk: float, confidence: float, exposed: bool, patched: str, *, because: Sequence[str] = ()) -> Priority:
    """The priority of a finding of a CVE with `risk` (0..100).

    `confidence` (0..1) is how sure it is, `exposed` whether the address is reachable from the Internet, `patched`
    `possibly` where a distribution may have repaired it; `because` are the reasons of the risk (`why`).
    """
    sure = min(max(confidence, 0.0), 1.0)
    score = min(max(risk, 0.0), 100.0) * (0.5 + 0.5 * sure)
    reasons = [*because, f"The risk of the CVE alone is {risk:.0f} of 100."]
    if sure < 1:
        reasons.append(f"That this software has it is {_percent(sure)} sure, which lowers it.")
    else:
        reasons.append("That this software has it is sure.")
    if exposed:
        reasons.append("The address is reachable from the Internet.")
    else:
        score *= _HIDDEN
        reasons.append("The address is not reachable from the Internet, which lowers it.")
    if patched:
        score *= _REPAIRED
        reasons.append("The distribution has possibly repaired this version, which lowers it.")
    score = round(score, 1)
    return Priority(score, level(score), tuple(reasons))


def level(score: float) -> Level:
    """The word for a score."""
    for least, word in LEVELS:
        if score >= least:
            return word
    return "low"


def exposed(ip: str) -> bool:
    """Whether an address is one of the Internet's (IANA's special-purpose registries); False for what is no address."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_global and not address.is_multicast


def _impact(cvss: float | None, severity: str) -> float:
    score = cvss if cvss is not None else _MIDDLES.get(severity.lower(), 5.0)
    return min(max(score, 0.0), 10.0) / 10


def _likelihood(epss: float | None) -> float:
    if epss is None:
        return _UNKNOWN
    return min(max((log10(max(epss, 1e-9)) + 4) / 4, 0.0), 1.0)


def _percent(part: float) -> str:
    """`4.2 %`, `0.05 %`, `97 %`: two digits that tell something."""
    percent = 100 * part
    if percent >= 10 or percent == 0:
        return f"{percent:.0f} %"
    return f"{percent:.2g} %" if percent >= 0.01 else "less than 0.01 %"
