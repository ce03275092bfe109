"""Names of hosts and users, e-mail addresses and paths in a text, by their form and by the words around them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from spectra.ai.privacy.span import Span, Word
from spectra.ai.privacy.spelling import COMMON, words
from spectra.model.ai import Kind

_COUNTRIES: Final = words(
    """
    ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf
    cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge gf gg
    gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn
    kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na
    nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh
    si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve
    vg vi vn vu wf ws ye yt za zm zw
    """
)
_GENERIC: Final = words(
    """
    com org net edu gov mil int arpa info biz name pro aero coop museum jobs mobi travel tel cat asia post xxx app dev
    page cloud online site store shop tech xyz top club live news blog space website agency digital email group host
    hosting network systems solutions services software support company consulting academy bank berlin paris bzh corsica
    alsace nrw bayern hamburg wien london amsterdam eus gal scot swiss africa ltd gmbh sarl inc llc studio team works
    world zone link click run tools zip mov health care energy finance legal
    """
)
_INNER: Final = words(
    """
    local lan internal intranet intra corp home localdomain private test example invalid localhost ad dmz svc consul
    onion prod staging mgmt office domain lab cluster ldap priv priv1 loc site vpn
    """
)
# Endings of files that are domains, too: of two labels, they are files.
_FILES: Final = words(
    "py sh pl md rs so cc ps ml zip mov app name info id do in is it to at be me no am as pm my re la vi"
)
_CODE: Final = words(
    "com org net java javax io edu javafx kotlin sun os sys self this window document console math system"
)
# Where everybody looks things up: nobody is known by these.
_PUBLIC: Final = words(
    """
    nist.gov mitre.org cisa.gov first.org github.com githubusercontent.com gitlab.com debian.org ubuntu.com redhat.com
    microsoft.com openssl.org apache.org nginx.org nginx.com kernel.org cve.org exploit-db.com owasp.org ietf.org w3.org
    rfc-editor.org wikipedia.org python.org nodejs.org mozilla.org oracle.com cisco.com openssh.com osv.dev
    rapid7.com tenable.com cert.org openwall.com schema.org iana.org npmjs.com docker.com postgresql.org
    mysql.com php.net wordpress.org wordpress.com asp.net node.js vb.net ado.net
    """
)
_USUAL: Final = words(
    """
    www nvd services cve cwe attack docs learn support security security-tracker access bugs raw api en fr de httpd wiki
    """
)
_LABEL: Final = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_DOTTED: Final = re.compile(r"(?<![\w-])(?<![\w-]\.)(?:\*\.)?[\w-]++(?:\.[\w-]++)++")
_DEFANGED: Final = re.compile(
    r"(?<![\w.-])[\w-]{1,63}(?:(?:\.|\s?\[\.\]\s?|\s?\(\.\)\s?|\[dot\]|\(dot\)| dot |%2[eE])[\w-]{1,63}){1,8}(?![\w-])",
    re.IGNORECASE,
)
_URL: Final = re.compile(r"(?::|\[:\])//(?:[^\s/@'\"<>]{1,200}@)?(\w[\w.-]{0,253})")
_LOCAL: Final = re.compile(r"(?:[\w.+%'-]{1,64}|\"[\w .+-]{1,64}\")$")
_AT_HOST: Final = re.compile(r"\[[0-9A-Fa-f.:]{3,45}\]|[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}")
_IN_URL: Final = re.compile(r"://[^\s/@]{1,100}:$")  # what follows is a password
_SPOKEN: Final = re.compile(
    r"[\w.+-]{1,64}\s?(?:\[at\]|\(at\))\s?[\w-]{1,63}(?:(?:\.|\s?\[dot\]\s?|\s?\(dot\)\s?"
    r"|\s?\[\.\]\s?)[\w-]{1,63}){1,6}"
    r"|[\w.+-]{1,64} at [\w-]{1,63}(?: dot [\w-]{1,63}){1,5}\b",
    re.IGNORECASE,
)
# Patterns below are looked for where one of their first words stands.
_HOST_WORDS: Final = words(
    """
    host hosts hostname hostnames server servers node nodes machine machines computer computers computername workstation
    workstations client clientname netbios dns sysname target fqdn nodename device devicename domain domainname realm
    serveur poste hôte rechner box sni vhost servername cn
    """
)
_HOST_SAYS: Final = re.compile(
    r"\w+(?:[ _-]name|[ _](?:computer|domain|host)[ _]?name)?"
    r"(?:['\"]?\s{0,3}[:=]\s{0,3}['\"]?|\s+(?:named?|called|nommé)\s+['\"`]?|(?<=name) is ['\"`]?"
    r"|\s+['\"`])(\w[\w.-]{1,252})",
    re.IGNORECASE,
)
_COMMANDS: Final = words("ssh ping ping6 telnet traceroute nslookup dig rdesktop nmap mtr curl scp")
_COMMAND: Final = re.compile(
    r"\w+[ \t]+(?:-\w+[ \t]+(?:\d+[ \t]+)?){0,4}(?:[\w.-]{1,32}@)?([A-Za-z][\w.-]{1,252})(?=[\s:,;'\"]|$)"
)
_PLACES: Final = words("host server machine node workstation computer serveur machine")
_PLACE: Final = re.compile(
    r"(?:workstation\s+['\"`]?(\w[\w.-]+)|\w+\s+['\"`]?([A-Za-z][\w.-]*[\d-][\w.-]*))", re.IGNORECASE
)
_SYSLOG: Final = re.compile(
    r"^(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.]+(?:Z"
    r"|[+-]\d\d:?\d\d)) ([A-Za-z][\w.-]{1,252}) [\w./-]+(?:\[\d+\])?:",
    re.MULTILINE,
)
_NUMBERED: Final = re.compile(r"[A-Za-z][A-Za-z-]{0,40}[0-9][A-Za-z0-9-]{0,40}")
_MADE_UP: Final = re.compile(
    r"(?:DESKTOP|LAPTOP|WIN|PC|WS|WKS|NB|SRV|SERVER|VM|EC2AMAZ|ip|ec2|vps|kvm)-[A-Za-z0-9-]*\d[A-Za-z0-9-]*|"
    r"(?:[a-z]{2,6}-){0,3}(?:web|www|db|app|srv|dc|fw|gw|vpn|mail|mx|ns|dns|proxy|node|host|sw|rtr|router"
    r"|switch|esxi?|nas|"
    r"san|ap|printer|prn|kube|k8s|master|worker|jump|bastion|build|ci|sql|pg|redis|ldap|ad|file|fs|backup|bkp|mon|log|"
    r"syslog|vm|win|lnx|exch|sap|erp|hv|pve|cam|plc|hmi|ups|ilo"
    r"|idrac)(?:-[a-z]{2,8}){0,3}-?\d{1,4}(?:-[a-z0-9]{1,8}){0,2}",
    re.IGNORECASE,
)
_UNC: Final = re.compile(r"(?<![\\\w])\\\\{1,3}(\w[\w.-]{0,62})(?:\\{1,2}[\w$ .-]{1,80}){1,12}")
_NOT_USERS: Final = COMMON | words(
    """
    is was are has had can may must agent name names id ids with who that this to of in on by from space interface input
    mode account accounts data group groups guide experience list level rights manual session sessions controlled
    supplied defined specific credentials being not does did should would will could shall cannot wants needs gets logs
    clicks enters visits opens sends reads writes runs uses then when if or as at mon tue wed thu fri sat sun yes no
    """
)
_USER_WORDS: Final = words(
    """
    user username userid login loginname logon logname account accountname samaccountname ruser euser acct uid owner
    utilisateur identifiant compte benutzer benutzername usuario author operator runas principal subjectusername
    targetusername
    """
)
_USER_SAYS: Final = re.compile(
    r"\w+?(?:[ _-](?:name|id|as))?(?:['\"]?\s{0,3}[:=]\s{0,3}['\"]?|\s+(?:named?|called)\s+['\"`]?|\s+['\"`])"
    r"([^\s'\"`,;:()<>|&\\/@=\[\]{}]{2,64})(?![\w\\/@])",
    re.IGNORECASE,
)
_LOGIN_WORDS: Final = words(
    """
    user username invalid for session password publickey none login logged log run running runs su sudo belongs account
    utilisateur uid gid euid
    """
)
_LOGIN_SAYS: Final = re.compile(
    r"(?:invalid user|for (?:invalid )?user|session (?:opened|closed) for(?: user)?|"
    r"(?:password|publickey|interactive/pam|none) for(?: invalid user)?|"
    r"login as|logged (?:in|on) as|run(?:ning|s)? as|log in as|su(?:do)? -u|belongs to user|account of"
    r"|utilisateur|user)"
    r"[ =]['\"`]?([A-Za-z][\w.-]{1,63})(?=['\"`]?(?:[\s,;:)]|\.(?:\s|$)|$|\())|"
    r"username ([\w.-]{1,64}) (?:secret|password|privilege|role|nopassword)|"
    r"(?:uid|gid|euid)=\d+\(([\w.-]{1,64})\)|sudo(?:\[\d+\])?:\s+([\w.-]{1,64}) :",
    re.IGNORECASE,
)
_TILDE: Final = re.compile(r"~([a-z_][\w-]{1,31})(?=[/\s]|$)")
_DOMAIN_USER: Final = re.compile(r"(?<![\w\\/.:-])([A-Za-z][\w.-]{1,62})\\{1,2}([A-Za-z_][\w.$-]{0,63})(?![\w\\])")
_LDAP: Final = re.compile(
    r"\b(?:cn|uid|ou|dc|o)=[^,=\n\"';()<>]{1,80}(?:,\s?(?:cn|uid|ou|dc|o|l|st|c)=[^,=\n\"';()<>]{1,80}){1,12}",
    re.IGNORECASE,
)
_PATH: Final = re.compile(
    r"(?:file://)?(?:/(?:home|Users|root|mnt|media|srv|data|backups?|opt|exports?|nfs|shares?|vol\d*|volume\d*"
    r"|net|workspace|projects?|var/(?:www|backups?|lib|mail|spool|log))"
    r"(?:/[\w.@+~%=#-]{1,255}){1,32}|~[\w-]{0,32}(?:/[\w.@+~%=#-]{1,255}){1,32})/?"
    r"|(?<![A-Za-z0-9])[A-Za-z]:\\{1,2}(?!(?:windows|program files)\b)"
    r"(?:[\w.@+~%=#$()-]{1,80}(?: [\w.@+~%=#$()-]{1,80}){0,8}\\{1,2}){1,20}[\w.@+~%=#$()-]{0,255}"
    r"|(?<![A-Za-z0-9])[A-Za-z]:/(?!(?:windows|program files)\b)(?:[\w.@+~%=#$()-]{1,80}/){1,20}[\w.@+~%=#$()-]{0,255}",
    re.IGNORECASE,
)


def guessed(text: str, low: str, found: Sequence[Word]) -> Iterator[Span]:
    """What may be a name, in a text of a user; in any order, maybe over each other."""
    yield from _hosts(text, low, found)
    yield from _emails(text, low)
    yield from _users(text, found)
    if "\\" in text:
        for match in _UNC.finditer(text):
            yield Span(*_trimmed(match), Kind.PATH, False)
        for match in _DOMAIN_USER.finditer(text):
            yield Span(match.start(), match.end(), Kind.USER, False)
    if "=" in text:
        yield from (Span(m.start(), m.end(), Kind.ID, False) for m in _LDAP.finditer(text))
    if "/" in text or ":\\" in text:
        for match in _PATH.finditer(text):
            yield Span(*_trimmed(match), Kind.PATH, False)


def _emails(text: str, low: str) -> Iterator[Span]:
    for sign in ("@", "%40"):
        at = text.find(sign)
        while at >= 0:
            before = _LOCAL.search(text, max(0, at - 66), at)
            after = _AT_HOST.match(text, at + len(sign))
            if before and after and not _IN_URL.search(text, max(0, before.start() - 200), before.start()):
                end = after.end() - (len(after[0]) - len(after[0].rstrip("-.")))
                yield Span(before.start(), end, Kind.EMAIL, False)
            at = text.find(sign, at + 1)
    if any(sign in low for sign in ("[at]", "(at)", " dot ")):
        yield from (Span(*_trimmed(match), Kind.EMAIL, False) for match in _SPOKEN.finditer(text))


def _users(text: str, found: Sequence[Word]) -> Iterator[Span]:
    for start, word in found:
        if word in _USER_WORDS:
            yield from _user(text, _USER_SAYS.match(text, start))
        if word in _LOGIN_WORDS:
            yield from _user(text, _LOGIN_SAYS.match(text, start))
    if "~" in text:
        for match in _TILDE.finditer(text):
            yield from _user(text, match)


def _user(text: str, match: re.Match[str] | None) -> Iterator[Span]:
    if not match or not match.lastindex:
        return
    start, end = match.span(match.lastindex)
    end -= len(text[start:end]) - len(text[start:end].rstrip(".-"))
    if end - start > 1 and text[start:end].lower() not in _NOT_USERS:
        yield Span(start, end, Kind.USER, False)


def _hosts(text: str, low: str, found: Sequence[Word]) -> Iterator[Span]:
    for match in _DOTTED.finditer(text):
        start = match.start() + 2 * match[0].startswith("*.")
        if _is_host(text, start, match.end()):
            yield Span(start, match.end(), Kind.HOSTNAME, False)
    if any(sign in low for sign in ("[.]", "(.)", "[dot]", "(dot)", " dot ", "%2e")):
        for match in _DEFANGED.finditer(text):
            if re.search(r"[\[(%]| dot ", match[0]) and re.fullmatch(r"[A-Za-z]{2,24}", re.split(r"\W", match[0])[-1]):
                yield Span(match.start(), match.end(), Kind.HOSTNAME, False)
    if "//" in text:
        for match in _URL.finditer(text):
            if not _public(match[1].lower().rstrip(".")) and re.search(r"[A-Za-z]", match[1]):
                yield Span(match.start(1), match.start(1) + len(match[1].rstrip(".")), Kind.HOSTNAME, False)
    for match in _said(text, found):
        start, end = match.span(match.lastindex or 0)
        name = text[start:end].rstrip(".-")
        if _may_name(name):
            yield Span(start, start + len(name), Kind.HOSTNAME, False)
    for match in _NUMBERED.finditer(text):
        if not (text[match.start() - 1 : match.start()] or " ").isalnum() and _MADE_UP.fullmatch(match[0]):
            yield Span(match.start(), match.end(), Kind.HOSTNAME, False)


def _said(text: str, found: Sequence[Word]) -> Iterator[re.Match[str]]:
    """Where the words before a name say that it is one of a host."""
    for start, word in found:
        for starts, pattern in ((_HOST_WORDS, _HOST_SAYS), (_COMMANDS, _COMMAND), (_PLACES, _PLACE)):
            if word in starts and (match := pattern.match(text, start)):
                yield match
    yield from _SYSLOG.finditer(text)


def _may_name(name: str) -> bool:
    return len(name) > 1 and name.lower() not in _NOT_USERS and not name.isdecimal() and not _public(name.lower())


def _is_host(text: str, start: int, end: int) -> bool:
    labels = text[start:end].lower().split(".")
    top = labels[-1]
    known = top in _GENERIC or top in _INNER or top in _COUNTRIES or top.startswith("xn--")
    if not known or (len(labels) == 2 and len(labels[0]) < 2) or all(len(label) == 1 for label in labels):
        return False
    if _public(".".join(labels)) or all(label.isdecimal() for label in labels[:-1]):
        return False
    beside = text[start - 1 : start] in ("@", "/") or text[end : end + 1] in (":", "/")
    if len(labels) == 2 and top in _FILES:
        return beside and not text[end : end + 2].startswith(": ")
    return not (len(labels) > 2 and labels[0] in _CODE and not beside)


def _public(name: str) -> bool:
    first, _, rest = name.partition(".")
    return name in _PUBLIC or name in ("localhost", "example") or (first in _USUAL and rest in _PUBLIC)


def _trimmed(match: re.Match[str]) -> tuple[int, int]:
    """Without the full stop of a sentence."""
    return match.start(), match.end() - (len(match[0]) - len(match[0].rstrip(". -")))
