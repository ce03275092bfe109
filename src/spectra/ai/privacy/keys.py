"""Keys, tokens, passwords and other secrets in a text: by their form, and by the words before them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Final

from spectra.ai.privacy.span import Span, Word
from spectra.ai.privacy.spelling import words
from spectra.model.ai import Kind

_B64: Final = r"[A-Za-z0-9_-]"
_VENDORS: Final = re.compile(
    r"(?:"
    r"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA|AGPA|ANPA)[A-Z0-9]{16}"
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{22,}|gl(?:pat|ptt|dt|rt|cbt|ft|soat)-[\w-]{18,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}"
    rf"|sk-{_B64}{{16,}}|[srp]k_(?:live|test)_[A-Za-z0-9]{{10,}}|whsec_[A-Za-z0-9+/=]{{16,}}"
    rf"|AIza{_B64}{{30,}}|ya29\.{_B64}{{20,}}|GOCSPX-{_B64}{{20,}}|1//0{_B64}{{20,}}"
    r"|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}|do[opr]_v1_[a-f0-9]{40,}|rubygems_[a-f0-9]{40,}"
    rf"|SG\.{_B64}{{16,}}\.{_B64}{{16,}}|key-[0-9a-f]{{32}}|(?:AC|SK)[0-9a-f]{{32}}"
    r"|hv[sb]\.[\w-]{20,}|s\.[A-Za-z0-9]{24}|atlasv1\.[\w-]{20,}|sq0[a-z]{3}-[\w-]{20,}|EAACEdEose0cBA\w+"
    r"|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|dapi[a-h0-9]{32}|nvapi-[\w-]{20,}|gsk_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,}"
    r"|tskey-[\w-]{16,}|sbp_[a-f0-9]{40}|lin_api_\w{20,}|NRAK-[A-Z0-9]{20,}|PMAK-[\w-]{30,}|glsa_\w{20,}"
    r"|AGE-SECRET-KEY-1[A-Z0-9]{50,}|\d{8,10}:AA[\w-]{33}|[MN][A-Za-z0-9_-]{23,25}\.[\w-]{6}\.[\w-]{27,}"
    rf"|eyJ{_B64}{{8,}}\.{_B64}{{4,}}(?:\.{_B64}*){{0,3}}|eyJ{_B64}{{40,}}"
    r")"
)
_LONG: Final = re.compile(r"[A-Za-z0-9_.:/+=-]{15,}+")  # none of those is shorter, and prose has few
_PEM: Final = re.compile(
    r"-----BEGIN (?P<what>[A-Z0-9 ]{1,40})-----(?:[A-Za-z0-9+/=,:\s\\-]{0,20000}?-----END (?P=what)-----"
    r"|[A-Za-z0-9+/=\s\\]{0,20000})"
)
_LOGIN_URL: Final = re.compile(
    r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://([^\s/@:'\"<>]{0,100}):([^\s/'\"<>]{1,200}?)@(?=[\w\[])"
)
_HASHES: Final = re.compile(
    r"\$(?:1|2[abxy]?|5|6|7|y|gy|apr1|sha1|argon2(?:id|i|d)|scrypt|pbkdf2[\w-]*|md5)\$[^\s:'\",;]{8,200}"
    r"|\{(?:S?SHA\d*|S?MD5|CRYPT|PBKDF2[\w-]*)\}[^\s:'\",;]{8,200}"
)
_NT_HASHES: Final = re.compile(r"[0-9a-fA-F]{32}:[0-9a-fA-F]{32}(?![0-9a-fA-F])")
_SSH: Final = re.compile(r"AAAA[A-Za-z0-9+/]{20,}={0,2}|SHA256:([A-Za-z0-9+/]{43})(?![A-Za-z0-9+/])")
_WEBHOOK: Final = re.compile(
    r"https://(?:hooks\.slack\.com/services/|discord(?:app)?\.com/api/webhooks/"
    r"|[\w.-]+\.webhook\.office\.com/)([\w/@.-]{8,200})"
)
_AUTH: Final = re.compile(
    r"\b(?:authorization|proxy-authorization)['\"]?\s{0,3}[:=]\s{0,3}['\"]?(?:(?:basic|bearer|token|digest"
    r"|negotiate|ntlm|apikey)\s+)?"
    r"([A-Za-z0-9._~+/=-]{6,4000})|\b(?:bearer|basic)\s+([A-Za-z0-9._~+/-]{12,4000}=*)",
    re.IGNORECASE,
)
# What stands before these words for them to be the name of a secret.
_KEY_OF: Final = re.compile(
    r"(?:api|access|account|private|shared|encryption|signing|auth|secret|service|storage|license|x-api)[ _-]?$",
    re.IGNORECASE,
)
_SESSION_OF: Final = re.compile(r"session[ _-]?$", re.IGNORECASE)
_WORD_OF: Final = re.compile(r"mots?[ _]de[ _]$", re.IGNORECASE)
_KEYWORDS: Final = words(
    """
    password passwords passwd passphrase passcode passwort kennwort pwd pw pass pin psk secret secrets token tokens
    jeton key apikey accesskey accountkey sharedkey privatekey passe mdp contraseña contrasena senha credential
    credentials cred creds otp community sessionid sessid sid id
    """
)
_TAILS: Final = tuple(word for word in _KEYWORDS if len(word) > 5)
_NEEDS: Final = {"key": _KEY_OF, "id": _SESSION_OF, "passe": _WORD_OF}
_VALUE: Final = re.compile(
    r"(?:[_-]\w{1,20}|\d)?['\"]?\]?\s{0,3}(?::=|=>|->|[:=]|\b(?:is|was|ist|est|es|are)\b"
    r"(?!\s+(?:not|the|a|in|to|too|set|required|sent|stored|empty|weak|wrong|an)\b))\s{0,3}"
    r"(?:\"((?:[^\"\\\n]|\\.){1,200})\"|'((?:[^'\\\n]|\\.){1,200})'|`([^`\n]{1,200})`"
    r"|((?:[^\s\"'`,;&<>|)\]}]|&(?!\w+=)){3,400}))",
    re.IGNORECASE,
)
_FLAGS: Final = re.compile(
    r"(?:--?(?:password|passwd|pass|pw|token|secret|api-?key|auth|key)[= ]|\b(?:mysql|mysqldump|sshpass"
    r"|mariadb)\b[^\n]{0,60}? -p)"
    r"['\"]?([^\s'\"-][^\s'\"]{2,200})|(?<!\S)-u ['\"]?([^\s:'\"]{1,64}):([^\s'\"]{1,200})"
    r"|\b(?:snmp-server community|key 7|password [057]|secret [05789]|requirepass|IDENTIFIED BY"
    r"|sshpass -p)\s+['\"]?([^\s'\"]{3,200})",
    re.IGNORECASE,
)
_RUN: Final = re.compile(r"(?<![A-Za-z0-9+/_.-])[A-Za-z0-9+/_-]{20,}+={0,2}")
_UUID: Final = re.compile(r"(?<![0-9A-Fa-f-])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f-])")
_IDS: Final = re.compile(
    r"\bS-1-5-21(?:-\d{1,10}){3,5}\b|\b(?:serial(?:[ _-]?(?:number|no|nr))?|s/n|asset[ _-]?(?:tag|id|number)?"
    r"|service[ _-]?tag|imei|"
    r"machine[ _-]?id|fingerprint|inventory(?: number"
    r"| no)?)['\"]?\s{0,2}[.:=#]\s{0,2}['\"]?([A-Za-z0-9][A-Za-z0-9:/_-]{3,80})",
    re.IGNORECASE,
)
_EMPTY: Final = frozenset(
    ("null", "none", "true", "false", "required", "undefined", "nil", "empty", "string", "redacted", "yes", "no", "xxx")
)


def found(text: str) -> Iterator[Span]:
    """What is a secret by its form."""
    for run in _LONG.finditer(text):
        for match in _VENDORS.finditer(text, run.start(), run.end()):
            before = text[max(0, match.start() - 2) : match.start()]
            if not before[-1:].isalnum() or before.startswith("\\"):
                yield Span(match.start(), match.end(), Kind.SECRET, True)
    if "-----BEGIN " in text:
        for match in _PEM.finditer(text):
            yield Span(match.start(), match.end(), Kind.SECRET if "KEY" in match["what"] else Kind.ID, True)
    if "://" in text:
        for match in _LOGIN_URL.finditer(text):
            yield Span(*match.span(2), Kind.SECRET, True)
            if match[1]:
                yield Span(*match.span(1), Kind.USER, True)
        yield from _groups(_WEBHOOK, text, Kind.SECRET, sure=True)
    if "$" in text or "{" in text:
        yield from (Span(m.start(), m.end(), Kind.SECRET, True) for m in _HASHES.finditer(text))
    if ":" in text:
        yield from (Span(m.start(), m.end(), Kind.SECRET, True) for m in _NT_HASHES.finditer(text))
    if "AAAA" in text or "SHA256:" in text:
        yield from (Span(*m.span(1 if m[1] else 0), Kind.ID, True) for m in _SSH.finditer(text))


def guessed(text: str, said: Sequence[Word]) -> Iterator[Span]:
    """What may be a secret or somebody's number, in a text of a user."""
    yield from _groups(_AUTH, text, Kind.SECRET)
    yield from _named(text, said)
    for match in _FLAGS.finditer(text):
        for group in (1, 3, 4):
            if match[group]:
                yield Span(*match.span(group), Kind.SECRET, False)
        if match[2]:
            yield Span(*match.span(2), Kind.USER, False)
    yield from (Span(m.start(), m.end(), Kind.ID, False) for m in _UUID.finditer(text))
    for match in _IDS.finditer(text):
        if any(c.isdecimal() for c in match[0]):
            yield Span(*match.span(1 if match[1] else 0), Kind.ID, False)
    for match in _RUN.finditer(text):
        if _random(match[0]):
            yield Span(match.start(), match.end(), Kind.SECRET, False)


def _named(text: str, said: Sequence[Word]) -> Iterator[Span]:
    """Values of what is called a password, or alike."""
    for start, word in said:
        if word not in _KEYWORDS and not word.endswith(_TAILS):
            continue
        needed = _NEEDS.get(word)
        if needed and not needed.search(text, max(0, start - 12), start):
            continue
        match = _VALUE.match(text, start + len(word))
        if match and match.lastindex and _tells(match[match.lastindex]):
            yield Span(*match.span(match.lastindex), Kind.SECRET, False)


def _groups(pattern: re.Pattern[str], text: str, kind: Kind, *, sure: bool = False) -> Iterator[Span]:
    for match in pattern.finditer(text):
        if match.lastindex:
            yield Span(*match.span(match.lastindex), kind, sure)


def _tells(value: str) -> bool:
    """Whether a value is more than a placeholder."""
    bare = value.strip(".*x<>${}[]()_-").lower()
    return len(bare) > 1 and bare not in _EMPTY


def _random(run: str) -> bool:
    """Whether letters and digits change as they do by chance: a key, or a hash."""
    bare = run.rstrip("=")
    if len(bare) > 31 and all(c in "0123456789abcdefABCDEF" for c in bare):
        return any(c.isdecimal() for c in bare) and any(c.isalpha() for c in bare)
    kinds = ["9" if c.isdecimal() else "A" if c.isupper() else "a" if c.islower() else "/" for c in bare]
    turns = sum(1 for one, other in itertools.pairwise(kinds) if one != other)
    return "9" in kinds and "a" in kinds and "A" in kinds and turns * 3 > len(bare) and len(set(bare)) > 11
