"""Texts with private values in known places: made-up ones by templates, and outputs of real scans by their fields."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import zstandard

from spectra.bench.privacy.made import Made
from spectra.model.ai import Kind


class Value(NamedTuple):
    """A private value, and where it stands."""

    kind: Kind
    text: str
    start: int


class Marked(NamedTuple):
    """A text and every private value in it; `whole`: nothing else in it is private."""

    text: str
    values: tuple[Value, ...]
    whole: bool = True


_TEMPLATES: Final = (
    "Why is <v4> reachable from <network>? Port 443 answers with nginx/1.18.0.",
    "arp -a\n? (<v4>) at <mac> on en0 ifscope [ethernet]\n? (<v4>) at <mac> on en0",
    "2: eth0: mtu 1500\n    link/ether <mac>\n    inet <v4>/24 scope global\n    inet6 <v6> scope link",
    "Nov 28 01:12:50 <label> sshd[2211]: Failed password for invalid user <user> from <v4> port 50522 ssh2",
    "Nov  3 11:02:09 <label> sudo:   <user> : TTY=pts/0 ; PWD=<path> ; USER=root ; COMMAND=/usr/bin/id",
    "The IoC list has <v4odd>, <v4odd> and hxxp://<host>/gate.php; block them?",
    "Please check https://<host>:8443/login?user=<user>&token=<token> for CVE-2024-6387.",
    'curl -H "Authorization: Bearer <token>" https://<host>/api/v1/users/<number>',
    "DATABASE_URL=postgres://<user>:<password>@<host>:5432/app\nAPI_KEY=<token>\nDEBUG=false",
    '{"host": "<label>", "ip": "<v4>", "mac": "<mac>", "user": "<user>", "password": "<password>", "ok": true}',
    '{"event": {"src": "<v6>", "account": "<user>", "sid": "<number>", "n": 17}}',
    "My password is <password> and the mail address is <email>. Is that safe?",
    "Le mot de passe : <password>, le serveur <host>, utilisateur '<user>'.",
    "Passwort: <password>\nBenutzer: <user>\nRechner: <label>",
    "The file <path> belongs to user <user>; the share is <path>.",
    "Log on as <domuser> from workstation <label> failed with event 4625, see <number>.",
    "<user>@<label>:~$ ssh <host>\nLast login: Sat Nov 28 from <v4>",
    "server {\n  server_name <host>;\n  proxy_pass http://<v4>:8080;\n}",
    "Serial number: <serial>, fingerprint <number>, installed at <host>.",
    "Received: from <host> ([<v4>]) by <host> with ESMTP for <email>; Sat, 28 Nov 2026 01:12:50 +0000",
    "IP <v4>.51344 > <v4>.443: Flags [S], seq 1, length 0\nIP6 <v6> > <v6>: ICMP6, echo request",
    "GET /x?next=http%3A%2F%2F<v4odd>%2F HTTP/1.1\r\nHost: <host>\r\nX-Api-Key: <token>\r\n",
    "ldap bind as cn=<user>,ou=staff,dc=<user>,dc=lan, password=<password>",
    "nmap -sV <network> -oX scan.xml; then ping <label> and ssh <label>",
    "The certificate of <host> has the key <token> in it. Rotate <token>?",
    "Which of <v4>, <v6> and <v4odd> has OpenSSH 8.2p1? Compare version 1.0.2.1 with 9.3p1.",
    "snmp-server community <password> RO\nusername <user> secret 9 <token>\n"
    "interface Vlan10\n ip address <v4> 255.255.255.0",
    "What does CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H mean, and is TLS 1.0 a risk at 12:34:56 UTC?",
    "Explain the race condition in the signal handler of sshd; the user should reset the password afterwards.",
    "In main.py and README.md the std::vector is used; see "
    "https://nvd.nist.gov/vuln/detail/CVE-2021-44228 and nginx.conf.",
)
# Nothing tells here what a name is but what the reader knows: no detector of forms finds much of it.
_BARE: Final = (
    "Ask <user> whether <label> is down again.",
    "I think it was <password>, at least it was on <label>.",
    "<user> and <user> both saw it on <label> yesterday.",
    "Try <password> first.",
    "We call it <label>, it stands under the desk of <user>.",
)
_MARK: Final = re.compile(
    r"<(v4|v4odd|v6|network|mac|host|label|user|domuser|email|path|token|password|number|serial)>"
)
_FIELDS: Final = re.compile(
    r"""(?:\baddr|"(?:ip|addr|address|host_ip|ipv4|ipv6|ip_str)")(?:=|:\s?)"(?P<address>[0-9A-Fa-f:.]{7,45})\""""
    r"""|<address addr="(?P<mac>(?:[0-9A-F]{2}:){5}[0-9A-F]{2})" addrtype="mac\""""
    r"""|<hostname name="(?P<host>[\w.-]{4,253})\"""",
    re.ASCII,
)
_PIECE: Final = 4000
_MOST: Final = 16 * 1024 * 1024


def made(count: int, seed: int = 7) -> list[Marked]:
    """`count` made-up texts, each template as often as any other."""
    return _drawn(_TEMPLATES, count, seed)


def bare(count: int, seed: int = 11) -> list[Marked]:
    """`count` texts in which neither a form nor a word tells what is private."""
    return _drawn(_BARE, count, seed)


def _drawn(templates: Sequence[str], count: int, seed: int) -> list[Marked]:
    drawn = Made(seed)
    return [_filled(templates[number % len(templates)], drawn) for number in range(count)]


def _filled(template: str, drawn: Made) -> Marked:
    pieces: list[str] = []
    values: list[Value] = []
    at = end = 0
    for mark in _MARK.finditer(template):
        pieces.append(template[end : mark.start()])
        at += len(pieces[-1])
        kind, text = drawn.of(mark[1])
        if template[mark.end() :].startswith("/24"):
            kind = Kind.NETWORK
        values.append(Value(kind, text, at))
        pieces.append(text)
        at += len(text)
        end = mark.end()
    return Marked("".join(pieces) + template[end:], tuple(values))


def real(folder: Path, most: int) -> Iterator[Marked]:
    """Pieces of what scanners wrote, with the values of the fields for addresses and names; `most` of them."""
    found = 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or found >= most:
            continue
        pieces = [marked for marked in map(_fields, _pieces(_text(path))) if marked.values][:2]
        yield from pieces[: most - found]
        found += len(pieces)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        if path.suffix == ".zst":
            with zstandard.ZstdDecompressor().stream_reader(file) as stream:
                raw = stream.read(_MOST)
        else:
            raw = file.read(_MOST)
    return raw.decode("utf-8", "replace")


def _pieces(text: str) -> Iterator[str]:
    for at in range(0, min(len(text), 20 * _PIECE), _PIECE):
        yield text[at : at + _PIECE]


def _fields(text: str) -> Marked:
    values: list[Value] = []
    for field in _FIELDS.finditer(text):
        name = field.lastgroup or ""
        kind = {"address": Kind.ADDRESS, "mac": Kind.MAC, "host": Kind.HOSTNAME}[name]
        if _is_private(field[name]) if name == "address" else field[name] != "localhost":
            values.append(Value(kind, field[name], field.start(name)))
    return Marked(text, tuple(values), whole=False)


def _is_private(text: str) -> bool:
    """Whether it is an address that is somebody's."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast)
