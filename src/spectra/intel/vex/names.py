"""Names of software in decisions: CPE names that leave parts open, and how they compare with those of services.

Attributes compare as in NIST IR 7696 section 6: ANY covers every value, a value itself, and one with `*` or `?` at its
ends what those stand for. A name that says more than is known of a service does not cover it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from spectra.intel.enrich.cpename import ANY, NA, Cpe, parse

_ATTRIBUTES: Final = 11


def whole(text: str) -> Cpe | None:
    """A CPE name in either form, or the beginning of a 2.3 one: what it leaves out is any. None for what is none."""
    text = text.strip()
    if text[:8].lower() == "cpe:2.3:":
        missing = _ATTRIBUTES + 1 - text.replace("\\:", "").count(":")
        text += f":{ANY}" * missing  # none where that is negative
    return parse(text)


def is_pattern(cpe: Cpe) -> bool:
    """Whether a part of it holds a wildcard among other characters."""
    return any(_wild(value) for value in cpe)


def covers(pattern: Cpe, name: Cpe) -> bool:
    """Whether everything that `name` may be is meant by `pattern`."""
    if all(_covers(asked, has) for asked, has in zip(pattern, name, strict=True)):
        return True
    # `9.2p1` in one attribute is 9.2 and p1 in two.
    joined, known = _joined(pattern), _joined(name)
    if joined is None or known is None or joined != known:
        return False
    others = (pattern._replace(version=ANY, update=ANY), name)
    return all(_covers(asked, has) for asked, has in zip(*others, strict=True))


def _joined(cpe: Cpe) -> str | None:
    """Version and update in one word; None where the version is no single one."""
    if cpe.version in (ANY, NA) or is_pattern(cpe):
        return None
    update = "" if cpe.update in (ANY, NA) else cpe.update
    return (cpe.version + update).replace("_", "").replace("-", "")


def _covers(asked: str, has: str) -> bool:
    if asked in (ANY, has):
        return True
    return has not in (ANY, NA) and _wild(asked) and _regex(asked).fullmatch(has) is not None


def _wild(value: str) -> bool:
    return value != ANY and re.search(r"(?<!\\)(?:\\\\)*[*?]", value) is not None


@lru_cache(maxsize=4096)
def _regex(pattern: str) -> re.Pattern[str]:
    parts: list[str] = []
    found: list[tuple[str, str]] = re.findall(r"(\\.)|(.)", pattern)
    for escaped, plain in found:
        if escaped:
            parts.append(re.escape(escaped))
        else:
            parts.append({"*": ".*", "?": ".?"}.get(plain, re.escape(plain)))
    return re.compile("".join(parts))
