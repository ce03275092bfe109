"""Small feeds of each format, and how to read one that is but text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spectra.intel.enrich.locator import Locator
from spectra.intel.feeds import Table, read
from spectra.model.facts import Place


def table_of(folder: Path, content: str | bytes | dict[str, Any], name: str = "feed", provider: str = "") -> Table:
    """What `read` makes of a file with this content; objects are written as JSON."""
    data = content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else _json(content)
    path = folder / name
    path.write_bytes(data)
    return read(path, provider)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


def place(table: Table, ip: str) -> Place:
    """Where one table alone has an address."""
    return Locator([table]).locate([ip])[0]


AWS: dict[str, Any] = {
    "syncToken": "1753388594",
    "createDate": "2025-07-24-20-23-14",
    "prefixes": [
        {"ip_prefix": "198.51.100.0/24", "region": "eu-west-1", "service": "AMAZON", "network_border_group": "x"},
        {"ip_prefix": "198.51.100.0/25", "region": "eu-west-1", "service": "EC2", "network_border_group": "x"},
        {"ip_prefix": "198.51.100.0/26", "region": "eu-west-1", "service": "AMAZON", "network_border_group": "x"},
        {"ip_prefix": "198.51.100.0/25", "region": "eu-west-1", "service": "S3", "network_border_group": "x"},
        {"ip_prefix": "198.51.100.128/25", "region": "GLOBAL", "service": "CLOUDFRONT", "network_border_group": "x"},
    ],
    "ipv6_prefixes": [
        {"ipv6_prefix": "2001:db8::/40", "region": "us-east-1", "service": "EC2", "network_border_group": "x"}
    ],
}
GCP: dict[str, Any] = {
    "syncToken": "1753409788780",
    "creationTime": "2025-07-24T19:16:28.780563",
    "prefixes": [
        {"ipv4Prefix": "203.0.113.0/25", "service": "Google Cloud", "scope": "europe-west1"},
        {"ipv6Prefix": "2001:db8:1::/48", "service": "Google Cloud", "scope": "africa-south1"},
    ],
}


def azure_tag(name: str, region: str, *prefixes: str) -> dict[str, Any]:
    """One service tag."""
    return {"name": name, "id": name, "properties": {"region": region, "addressPrefixes": list(prefixes)}}


AZURE: dict[str, Any] = {
    "changeNumber": 363,
    "cloud": "Public",
    "values": [
        azure_tag("AzureCloud", "", "192.0.2.0/24"),
        azure_tag("AzureCloud.eastus", "eastus", "192.0.2.0/25"),
        azure_tag("Storage", "", "192.0.2.0/26"),
        azure_tag("Storage.EastUS", "eastus", "192.0.2.0/26", "192.0.2.192/26"),
        azure_tag("AzureMonitor", "", "192.0.2.64/26", "192.0.2.128/27"),
        azure_tag("ActionGroup", "", "192.0.2.64/26"),
    ],
}
ORACLE: dict[str, Any] = {
    "last_updated_timestamp": "2025-07-21T07:13:25.457838",
    "regions": [
        {
            "region": "us-ashburn-1",
            "cidrs": [
                {"cidr": "192.0.2.0/24", "tags": ["OCI"]},
                {"cidr": "198.51.100.0/24", "tags": ["OSN", "OBJECT_STORAGE"]},
            ],
        }
    ],
}
FASTLY: dict[str, Any] = {"addresses": ["192.0.2.0/24"], "ipv6_addresses": ["2001:db8::/32"]}
ZSCALER: dict[str, Any] = {"cloudName": "zscaler.net", "type": "x", "hubPrefixes": ["192.0.2.0/24", "2001:db8::/48"]}
GITHUB: dict[str, Any] = {
    "verifiable_password_authentication": False,
    "ssh_key_fingerprints": {"SHA256_RSA": "x"},
    "ssh_keys": ["ssh-ed25519 AAAA"],
    "hooks": ["192.0.2.0/24"],
    "web": ["192.0.2.0/24", "198.51.100.0/24"],
    "pages": ["192.0.2.7/32"],
    "domains": {"website": ["*.example.org"]},
}
ROUTES = """; IP-ASN32-DAT file
; Original file : data/rib.20140513.0600.bz2
192.0.2.0/24\t64500
192.0.2.128/25\t{64501,64502}
198.51.100.0/24\t64503_64504
2001:db8::/32\t64505
"""
GEOFEED = """# Last modified: 2025-07-24 10:00:06.525037
192.0.2.0/24,NL,NL-NH,Amsterdam,1098 XH
2001:db8::/32,us,US-TX,Richardson,
198.51.100.7,FR # an address alone

203.0.113.0/24,,,
"""
