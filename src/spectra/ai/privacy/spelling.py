"""Pseudonyms of names: labels of hosts, users, parts of paths, hardware addresses; each written as what it is for."""

from __future__ import annotations

import re
from typing import Final

from spectra.ai.privacy.spaces import Keyed

_DOT: Final = re.compile(r"(\s?\[\.\]\s?|\s?\(\.\)\s?|\s?\[dot\]\s?|\s?\(dot\)\s?|\s+dot\s+|%2e|\.)", re.IGNORECASE)
_AT: Final = re.compile(r"(\s?\[at\]\s?|\s?\(at\)\s?|\s+at\s+|%40|@)", re.IGNORECASE)
_SLASH: Final = re.compile(r"([\\/]+|%2f|%5c)", re.IGNORECASE)
_HEX_RUN: Final = re.compile(r"[0-9a-fA-F]+")
_ENDING: Final = re.compile(r".+(\.[A-Za-z0-9]{1,5})", re.DOTALL)


def words(text: str) -> frozenset[str]:
    """Each word of `text`."""
    return frozenset(text.split())


_ENDINGS: Final = words(
    """
    .bak .bash .bat .bin .bz2 .c .cer .cfg .cmd .cnf .conf .cpp .crt .csr .csv .db .der .dll .doc .docx .env .exe
    .gz .h .hcl .htm .html .ini .iso .jar .java .jks .jpg .js .json .kdbx .key .log .md .mdb .ndjson .odt .p12 .pcap
    .pdf .pem .pfx .php .png .ppk .ps1 .pub .py .rb .rs .sh .so .sql .tar .tf .tgz .toml .ts .txt .vbs .vmdk .war
    .xls .xlsx .xml .yaml .yml .zip .zst
    """
)
# Folders that every machine of a kind has: they tell nothing of whose it is.
_FOLDERS: Final = words(
    """
    home users root etc var usr opt srv mnt media tmp run lib log logs bin sbin local share www html data backup
    backups windows system32 documents desktop downloads appdata roaming .ssh .aws .config .kube .gnupg .docker ~ .
    ..
    """
)
_HOMES: Final = frozenset(("home", "users"))
_SHARED: Final = frozenset(("co", "com", "org", "net", "ac", "gov", "edu", "or", "ne", "go", "gouv", "asso"))
# Words that are names of accounts or hosts everywhere: where they stand in other words, they are those words.
COMMON: Final = words(
    """
    account access admin administrator agent all and any api app apps backup bin bot ci client cloud cluster com
    computer config console contact cron daemon data database debian default demo dev device dns docker domain email
    example file ftp gateway git group guest help home host hostname http https info internal invalid jenkins key
    kali linux local localhost login mail main manager master me monitor mysql name net network nginx nobody node
    none null office operator oracle org owner password pi ping postgres postgresql power private prod production
    proxy public redis remote report root router sales scan secret secure security server service services shell
    site smtp ssh sshd staff staging static storage support switch sync sys system team temp test tester testing the
    tmp token ubuntu user username users vagrant vpn web webmaster windows work worker workgroup workstation www
    www-data
    """
)


class Names:
    """Tokens for labels, unique within an instance."""

    def __init__(self, keyed: Keyed) -> None:
        self._keyed = keyed
        self._tokens: dict[tuple[str, str], str] = {}
        self._used: set[str] = set()
        self._makers: dict[bytes, bytes] = {}

    def reserve(self, word: str) -> None:
        """A word that must not become a pseudonym."""
        self._used.add(word.lower())

    def token(self, start: str, what: str, value: str, digits: int = 6) -> str:
        """`start` and hexadecimal digits drawn from `value`, which is of the sort `what`."""
        known = self._tokens.get((what, value))
        if known is None:
            drawn = self._keyed.bytes(what, value.encode("utf-8", "surrogatepass"), 16).hex()
            places = (drawn[at : at + digits] for at in range(len(drawn) - digits))
            known = next(
                (start + place for place in places if (start + place).lower() not in self._used), start + drawn
            )
            self._tokens[what, value] = known
            self._used.add(known.lower())
        return known

    def user(self, value: str) -> str:
        """`user-3f2a91`; of `CORP\\alice`, `d4f2a91\\user-3f2a91`."""
        *domain, name = _SLASH.split(value)
        made = [self.label(part.lower()) if part and not place % 2 else part for place, part in enumerate(domain)]
        return _like(value, "".join(made) + (self.token("user-", "user", name.lower()) if name else ""))

    def label(self, value: str) -> str:
        """One label of a host's name."""
        return self.token("h", "label", value)

    def host(self, value: str) -> str:
        """As many labels as `value` has, the last one `invalid`; a single one stays single."""
        pieces = _DOT.split(value)
        labels = [(place, pieces[place].lower()) for place in range(0, len(pieces), 2) if pieces[place]]
        if len(labels) == 1:
            pieces[labels[0][0]] = self.label(labels[0][1])
        elif labels:
            (before, name), (last, top) = labels[-2:]
            pieces[last] = "invalid"
            pieces[before] = self.token("d", "domain", f"{name}.{top}")
            for place, label in labels[:-2]:
                pieces[place] = "*" if label == "*" else self.label(label)
        return _like(value, "".join(pieces))

    def email(self, value: str) -> str:
        """A user of a host."""
        pieces = _AT.split(value)
        if len(pieces) < 3:
            return self.user(value)
        return self.user("".join(pieces[:-2])) + pieces[-2] + self.host(pieces[-1])

    def path(self, value: str) -> str:
        """As deep as `value`, folders of every system and the ending kept."""
        pieces = _SLASH.split(value)
        names = [place for place in range(0, len(pieces), 2) if pieces[place]]
        last = names[-1] if names else 0
        before = ""
        for place in names:
            pieces[place], before = self._folder(pieces[place], before, last=place == last), pieces[place].lower()
        if names and value.startswith(("\\\\", "//")):
            pieces[names[0]] = self.label(_SLASH.split(value)[names[0]].lower())
        return "".join(pieces)

    def _folder(self, name: str, before: str, *, last: bool) -> str:
        if before in _HOMES:
            return self.token("user-", "user", name.lower())
        if (name.lower() in _FOLDERS and not last) or re.fullmatch(r"[A-Za-z]:|file:|smb:", name):
            return name
        ending = _ENDING.fullmatch(name)
        kept = ending[1] if ending and ending[1].lower() in _ENDINGS else ""
        return self.token("p", "path", name) + kept

    def mac(self, value: str) -> str | None:
        """A locally administered address of the same maker's block, written alike; None if `value` is none."""
        digits = "".join(_HEX_RUN.findall(value))
        if len(digits) not in (12, 16):
            groups = _HEX_RUN.findall(value)
            if len(groups) not in (6, 8) or max(map(len, groups)) > 2:
                return None
            digits = "".join(group.zfill(2) for group in groups)
            made = self._mac(bytes.fromhex(digits)).hex()
            parts = [f"{int(made[at : at + 2], 16):x}" for at in range(0, len(made), 2)]
            return _like(value, re.sub(r"[^0-9a-fA-F]+", "-", value)[:0] + _separator(value).join(parts))
        rest = iter(self._mac(bytes.fromhex(digits)).hex())
        return _like(value, "".join(next(rest) if c in "0123456789abcdefABCDEF" else c for c in value))

    def _mac(self, real: bytes) -> bytes:
        maker = self._makers.get(real[:3])
        if maker is None:
            drawn = bytearray(self._keyed.bytes("maker", real[:3], 3))
            drawn[0] = drawn[0] & 0xFC | 0x02
            while bytes(drawn) in self._makers.values() or bytes(drawn) in self._makers:
                drawn[2] = drawn[2] + 1 & 0xFF
                drawn[1] = drawn[1] + (not drawn[2]) & 0xFF
            maker = self._makers[real[:3]] = bytes(drawn)
        return maker + bytes.fromhex(self.token("", "mac", real.hex(), 2 * (len(real) - 3)))[: len(real) - 3]


def parents(value: str) -> list[str]:
    """The domains above a host's name, without those that many share, such as `co.uk`."""
    labels = _DOT.split(value.rstrip("."))[::2]
    above = [labels[place:] for place in range(1, len(labels) - 1)]
    return [".".join(one) for one in above if not (len(one) == 2 and len(one[1]) == 2 and one[0].lower() in _SHARED)]


def first_label(value: str) -> str:
    """The name of a host within its domain, where it is one that nobody writes by accident."""
    label, _, rest = value.partition(".")
    return label if rest and len(label) > 3 and re.search(r"[0-9-]", label) else ""


def halves(value: str) -> tuple[str, str]:
    """The user and the host of an e-mail address."""
    pieces = _AT.split(value)
    return ("".join(pieces[:-2]), pieces[-1]) if len(pieces) > 2 else (value, "")


def steps(value: str) -> list[str]:
    """The names in a path or in `CORP\\alice`."""
    return [name for name in _SLASH.split(value)[::2] if name]


def owner(value: str) -> str:
    """The user whose home a path lies in, or ""."""
    names = steps(value)
    homes = (place for place, name in enumerate(names[:-1]) if name.lower() in _HOMES)
    return next((names[place + 1] for place in homes), "")


def distinctive(word: str) -> bool:
    """Whether `word`, standing somewhere else, is the same name and no word of the language."""
    return len(word) > 2 and word.lower() not in COMMON and not (word.isdecimal() and len(word) < 5)


def _separator(value: str) -> str:
    return next((c for c in value if c in ":-. _"), ":")


def _like(value: str, made: str) -> str:
    return made.upper() if value.isupper() else made
