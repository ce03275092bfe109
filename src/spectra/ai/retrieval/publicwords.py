"""Which words of a scan are public knowledge: names of products, services and systems that anybody could write.

Scans repeat what machines say of themselves, so a product may be called anything. Public is what our own tables name,
what sources of CVEs name (`store.vulntexts.published`), and numbers of versions; nothing else is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable
from typing import Final

from spectra.model import products, webproducts
from spectra.model.observation import Service
from spectra.model.products import Product
from spectra.store.vulntexts import Named

_TABLES: Final = (
    *(products.SSH, products.FTP, products.SMTP, products.IMAP, products.DNS, products.NTP, products.NNTP),
    *(products.SIP, products.REDIS, products.MEMCACHED, webproducts.KNOWN),
)
_COLON: Final = re.compile(r"(?<!\\):")
_ESCAPED: Final = re.compile(r"\\(.)")
_VERSION: Final = re.compile(
    r"v?(\d{1,10}(?:\.\d{1,10}){0,5}(?:[-~._]?(?:rc|beta|alpha|dev|p|u|r|sp)[-.]?\d{1,5}|[a-z](?![a-z]))?)", re.I
)
_ADDRESS: Final = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}(?!\d)")
_NUMBERS: Final = re.compile(r"(?:\d[0-9.x]{0,15}|-|or|later|R2|SP\d)", re.ASCII)

_USUAL: Final = """
    adb afp ajp13 amqp backup bgp bitcoin cassandra cisco-smart-install coap couchdb cups daap dhcp dhcps docker
    domain echo elasticsearch epmd etcd exec finger ftp ftps git gopher h323 http http-alt http-proxy https https-alt
    iax2 icecast ident imap imaps influxdb ipmi ipp irc iscsi isakmp jabber java-rmi jdwp jenkins kafka kerberos
    kerberos-sec kibana kubernetes ldap ldaps llmnr login lpd mdns memcache memcached microsoft-ds minecraft modbus
    mongodb mountd mqtt ms-sql-s ms-wbt-server msrpc mysql nbd netbios-dgm netbios-ns netbios-ssn nfs nntp ntp openvpn
    oracle-tns pop3 pop3s postgresql pptp printer prometheus quic rabbitmq radius rdp redis rfb rmiregistry rpcbind
    rsync rtmp rtsp s7 sip sip-tls smb smtp smtps smux snmp socks socks5 ssdp ssh ssl statsd stun submission svn syslog
    tcpwrapped telnet telnets tftp time tls tor-orport unifi upnp vmware-auth vnc websocket winrm wireguard wsdapi wsman
    x11 xmpp xmpp-client xmpp-server zabbix zookeeper
"""
SERVICES: Final = frozenset(_USUAL.split())
"""Names of services that tell nothing of who runs them: IANA's and nmap's usual ones."""

_SYSTEMS: Final = (
    *("AIX", "Android", "Apple iOS", "Apple macOS", "Apple", "Arista EOS", "Cisco IOS XE", "Cisco IOS", "Cisco NX-OS"),
    *("Cisco ASA", "Cisco", "Debian", "DragonFly BSD", "Fortinet FortiOS", "FortiOS", "FreeBSD", "HP-UX", "iOS"),
    *("Juniper Junos", "Junos", "Linux", "Mac OS X", "macOS", "Microsoft Windows Server", "Microsoft Windows"),
    *("MikroTik RouterOS", "NetBSD", "OpenBSD", "OpenWrt", "Oracle Solaris", "PAN-OS", "QNX", "Red Hat", "RouterOS"),
    *("Solaris", "Synology DSM", "Ubuntu", "Unix", "VMware ESXi", "VxWorks", "Windows Server", "Windows"),
)


@functools.lru_cache(maxsize=4096)
def named(cpe: str) -> Named | None:
    """Vendor and product of a CPE name (2.3 or the older form); None where it names no product."""
    if cpe.startswith("cpe:2.3:"):
        parts = [_ESCAPED.sub(r"\1", part) for part in _COLON.split(cpe)][3:5]
    else:
        parts = cpe.removeprefix("cpe:/").split(":")[1:3]
    vendor, product = (*parts, "", "")[:2]
    return (vendor, product) if vendor not in ("", "*", "-") and product not in ("", "*", "-") else None


def _rows() -> Iterable[Product]:
    return (row for table in _TABLES for row in table)


_NAMES: Final = frozenset(row.name for row in _rows() if row.name)
_BUILT_IN: Final = frozenset(found for row in _rows() if (found := named(row.cpe)))


def names_of(cpes: Iterable[str]) -> list[Named]:
    """The products of some CPE names, each once."""
    return list(dict.fromkeys(found for cpe in cpes if (found := named(cpe))))


def product(service: Service, cpes: Iterable[str], published: Collection[Named] = ()) -> str:
    """The public name of what runs: as our tables have it, else as CPE does (`apache http_server`); "" for none."""
    if service.product in _NAMES:
        return service.product
    found = next((one for one in names_of(cpes) if one in _BUILT_IN or one in published), None)
    return f"{found[0]} {found[1]}" if found else ""


def version(text: str) -> str:
    """The number at the beginning of a version: `9.2p1` of `9.2p1 Debian 2+deb12u3`; "" for none, or an address."""
    found = _VERSION.match(text)
    return "" if found is None or _ADDRESS.match(found[1]) else found[1]


def service(name: str) -> str:
    """The name of a service where it is a usual one, else ""."""
    return name.lower() if name.lower() in SERVICES else ""


def system(text: str) -> str:
    """The family of an operating system and its numbers: `Linux 4.15 - 5.8`; "" for a family that is not known."""
    family = next((one for one in _SYSTEMS if text == one or text.startswith(f"{one} ")), "")
    numbers: list[str] = []
    for word in text[len(family) :].split()[:6] if family else ():
        if not _NUMBERS.fullmatch(word):
            break
        numbers.append(word)
    return " ".join([family, *numbers]).strip()
