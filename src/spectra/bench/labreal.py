"""Servers of this machine for the lab, where they are installed; what is not installed is left out.

Each function takes an address, a port and a folder of its own and returns the command of a server that stays in the
foreground; None if it is not installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final


def dropbear(address: str, port: int, folder: Path) -> tuple[str, ...] | None:
    """An SSH server (Debian: dropbear-bin)."""
    server, keygen = shutil.which("dropbear"), shutil.which("dropbearkey")
    if not server or not keygen:
        return None
    key = folder / "host.key"
    subprocess.run([keygen, "-t", "ed25519", "-f", str(key)], capture_output=True, timeout=30, check=True)
    return (server, "-F", "-E", "-r", str(key), "-P", str(folder / "pid"), "-p", f"{address}:{port}")


def dnsmasq(address: str, port: int, folder: Path) -> tuple[str, ...] | None:
    """A DNS server, TCP and UDP (Debian: dnsmasq-base)."""
    if not shutil.which("dnsmasq"):
        return None
    config = folder / "dnsmasq.conf"
    config.write_text(
        f"port={port}\nlisten-address={address}\nbind-interfaces\nno-resolv\nno-hosts\nuser=root\n"
        f"pid-file={folder / 'pid'}\naddress=/lab.example/{address}\n"
    )
    return ("dnsmasq", "--keep-in-foreground", f"--conf-file={config}")


def redis(address: str, port: int, folder: Path) -> tuple[str, ...] | None:
    """Redis. Debian's redis-tools has the server's binary under another name, and it goes by the name it is called."""
    found = shutil.which("redis-server") or shutil.which("redis-check-rdb")
    if not found:
        return None
    options = ("--bind", address, "--port", str(port), "--protected-mode", "no", "--save", "", "--dir", str(folder))
    link = folder / "redis-server"
    link.symlink_to(found)
    return (str(link), *options)


def mosquitto(address: str, port: int, folder: Path) -> tuple[str, ...] | None:
    """An MQTT broker (Debian: mosquitto)."""
    if not shutil.which("mosquitto"):
        return None
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} {address}\nallow_anonymous true\nuser root\npersistence false\n")
    return ("mosquitto", "-c", str(config))


def python_http(address: str, port: int, folder: Path) -> tuple[str, ...] | None:
    """The web server of Python's standard library."""
    return (sys.executable, "-m", "http.server", str(port), "--bind", address, "--directory", str(folder))


REAL: Final = {
    "dropbear": dropbear,
    "dnsmasq": dnsmasq,
    "redis": redis,
    "mosquitto": mosquitto,
    "python-http": python_http,
}
"""Those commands by name."""
