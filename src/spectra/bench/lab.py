"""A network to scan: fifty hosts with known services in a namespace of their own, some of them behind firewalls.

Every host is an address with its own servers and its own nftables rules; the scanner lives in a second namespace, on
the other end of a wire, where counters see every packet. Takes root, iproute2 and nftables.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from uuid import uuid4

import msgspec

from spectra.bench.labreal import REAL
from spectra.bench.labwords import TRUTH
from spectra.errors import SetupError, SpectraError

Rule = Literal["", "filtered", "limited", "tight", "guarded", "lossy", "dark"]
"""What stands before a host: nothing; a firewall that drops what is not served; at most ten, or three, connections a
second; a firewall and at most two; a line that loses a tenth of all packets, both ways; or nothing gets through."""

SCANNER: Final = "10.251.0.250"
EXTRA: Final = (1, 13, 79, 444, 1025, 2049, 3333, 4444, 5555, 6666, 7777, 8889, 9999, 10001, 12345, 20202, 31337, 50505)
"""Ports on which nobody serves anything."""
_WAIT_S: Final = 30.0


class LabError(SetupError):
    """The lab cannot be built on this machine; the message says why."""

    reason = "no_lab"


class LabHost(NamedTuple):
    """One host: its address, what is served where (names of `WORDS` and `REAL`), and what stands before it."""

    ip: str
    services: dict[int, str]
    rule: Rule


_KINDS: Final[tuple[dict[int, str], ...]] = (
    {22: "openssh", 80: "nginx"},
    {22: "openssh", 80: "nginx", 443: "nginx-tls"},
    {22: "dropbear", 80: "apache", 443: "apache-tls"},
    {21: "vsftpd", 22: "openssh-old"},
    {25: "postfix", 110: "dovecot-pop3", 143: "dovecot-imap", 465: "postfix-tls", 993: "dovecot-imaps"},
    {3306: "mysql", 22: "openssh"},
    {3306: "mariadb", 8080: "lighttpd"},
    {6379: "redis", 11211: "memcached"},
    {53: "dnsmasq", 22: "openssh"},
    {1883: "mosquitto", 8000: "python-http"},
    {5432: "postgresql", 5672: "amqp"},
    {389: "ldap", 554: "rtsp", 119: "nntp"},
    {23: "telnet", 5900: "vnc", 873: "rsync"},
    {21: "proftpd", 25: "exim", 995: "dovecot-pop3s"},
    {8443: "nginx-tls", 8888: "caddy", 2222: "openssh", 8081: "iis"},
)
_RULES: Final[tuple[tuple[Rule, int], ...]] = (
    ("", 24),
    ("filtered", 7),
    ("limited", 9),
    ("tight", 2),
    ("guarded", 3),
    ("lossy", 3),
    ("dark", 1),
    ("", 1),
)


def hosts() -> list[LabHost]:
    """The fifty; the last has nothing open."""
    rules: list[Rule] = [rule for rule, count in _RULES for _ in range(count)]
    made = [LabHost(f"10.251.0.{n + 1}", dict(_KINDS[n % len(_KINDS)]), rule) for n, rule in enumerate(rules)]
    return [*made[:-1], made[-1]._replace(services={})]


class Packets(NamedTuple):
    """What went over the scanner's wire, both ways."""

    sent: int
    received: int


class Lab:
    """A lab that is up. `hosts` holds what is really served: what is not installed here is left out."""

    def __init__(self, stack: ExitStack, wanted: list[LabHost]) -> None:
        self._stack = stack
        mark = uuid4().hex[:6]
        self.scanner, self.town = self._namespace(f"sp-{mark}-scan"), self._namespace(f"sp-{mark}-lab")
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="spectra-lab-")))
        self._wire(wanted)
        self.hosts = list(self._served(wanted))
        self._firewall()

    @property
    def open(self) -> set[tuple[str, int]]:
        """Every endpoint that can be reached, by address and port."""
        return {(host.ip, port) for host in self.hosts if host.rule != "dark" for port in host.services}

    @property
    def truth(self) -> dict[tuple[str, int], str]:
        """What the open endpoints are, in the words of `TRUTH`."""
        kinds = {(host.ip, port): kind for host in self.hosts for port, kind in host.services.items()}
        return {place: TRUTH[kinds[place]] for place in self.open}

    @property
    def targets(self) -> list[str]:
        """Every address, as it is asked for."""
        return [host.ip for host in self.hosts]

    @property
    def ports(self) -> list[int]:
        """All that is to be asked: every port of the lab, and some that are none."""
        return sorted({port for host in self.hosts for port in host.services} | set(EXTRA))

    def rules(self, *names: Rule) -> set[str]:
        """The addresses behind these."""
        return {host.ip for host in self.hosts if host.rule in names}

    def counted(self) -> Packets:
        """Packets since this was asked last."""
        told = _do("ip", "netns", "exec", self.scanner, "nft", "-j", "reset", "counters")
        listed: list[dict[str, Any]] = msgspec.json.decode(told)["nftables"]
        found = {one["counter"]["name"]: one["counter"]["packets"] for one in listed if "counter" in one}
        return Packets(found["sent"], found["received"])

    def enter(self, *command: str) -> list[str]:
        """The command, to be run where the scanner is."""
        return ["ip", "netns", "exec", self.scanner, *command]

    def _namespace(self, name: str) -> str:
        _do("ip", "netns", "add", name)
        self._stack.callback(subprocess.run, ["ip", "netns", "del", name], capture_output=True, timeout=30, check=False)
        _do("ip", "-n", name, "link", "set", "lo", "up")
        return name

    def _wire(self, wanted: list[LabHost]) -> None:
        _do("ip", "-n", self.scanner, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", self.town)
        batch = "".join(f"addr add {host.ip}/24 dev wire\n" for host in wanted)
        _do("ip", "-n", self.town, "-batch", "-", stdin=batch)
        _do("ip", "-n", self.scanner, "addr", "add", f"{SCANNER}/24", "dev", "wire")
        for name in (self.scanner, self.town):
            _do("ip", "-n", name, "link", "set", "wire", "up")
        count = "table inet count {\n counter sent { }\n counter received { }\n"
        for chain, hook in (("sent", "output"), ("received", "input")):
            count += f" chain {chain} {{ type filter hook {hook} priority 0; counter name {chain}; }}\n"
        _do("ip", "netns", "exec", self.scanner, "nft", "-f", "-", stdin=count + "}\n")

    def _served(self, wanted: list[LabHost]) -> Iterator[LabHost]:
        small: list[tuple[str, int, str]] = []
        for host in wanted:
            real = {port: name for port, name in host.services.items() if name in REAL}
            missing = {port for port, name in real.items() if not self._start_real(name, host.ip, port)}
            small += [(host.ip, port, name) for port, name in host.services.items() if port not in real]
            yield host._replace(services={p: name for p, name in host.services.items() if p not in missing})
        self._start_small(small)

    def _start_real(self, name: str, address: str, port: int) -> bool:
        folder = self._folder / f"{address}-{port}"
        folder.mkdir()
        command = REAL[name](address, port, folder)
        if command is None:
            return False
        self._run(command, folder / "log")
        _eventually(lambda: self._listens(address, port), f"{name} does not serve {address}:{port}", folder / "log")
        return True

    def _start_small(self, places: list[tuple[str, int, str]]) -> None:
        command = ["ip", "netns", "exec", self.town, sys.executable, "-m", "spectra.bench.labserver"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._stack.callback(_end, process)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(places) + b"\n")
        process.stdin.flush()
        if process.stdout.readline() != b"up\n":
            raise LabError("The small servers of the lab do not start.")

    def _run(self, command: Sequence[str], log: Path) -> None:
        words = ["ip", "netns", "exec", self.town, *command]
        with log.open("ab") as file:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        self._stack.callback(_end, process)

    def _listens(self, address: str, port: int) -> bool:
        told = _do("ip", "netns", "exec", self.town, "ss", "-Hltn", "src", f"{address}:{port}")
        return bool(told.strip())

    def _firewall(self) -> None:
        """The rules of every host, as it would have them itself: by its own address, incoming."""
        lines = ["table inet lab {", " chain output {", "  type filter hook output priority 0;"]
        lines += [f"  ip saddr {ip} numgen random mod 100 < 10 drop" for ip in sorted(self.rules("lossy"))]
        lines += [" }", " chain input {", "  type filter hook input priority 0;"]
        for host in self.hosts:
            lines += [f"  ip daddr {host.ip} {rule}" for rule in _lines(host)]
        _do("ip", "netns", "exec", self.town, "nft", "-f", "-", stdin="\n".join([*lines, " }", "}", ""]))


def _lines(host: LabHost) -> list[str]:
    served = f"tcp dport {{ {', '.join(map(str, host.services))} }}" if host.services else ""
    begins = "tcp flags & (syn | ack) == syn"
    closed = [f"tcp dport != {{ {', '.join(map(str, host.services))} }} drop"] if host.services else []
    return {
        "": [],
        "filtered": closed,
        "limited": [f"{begins} limit rate over 10/second burst 5 packets drop"],
        "tight": [f"{begins} limit rate over 3/second burst 3 packets drop"],
        "guarded": [*closed, f"{served} {begins} limit rate over 2/second burst 2 packets drop"],
        "lossy": ["numgen random mod 100 < 10 drop"],
        "dark": ["drop"],
    }[host.rule]


@contextmanager
def lab(wanted: list[LabHost] | None = None) -> Generator[Lab]:
    """A lab until the block ends. Raises `LabError` where this machine does not let us make one."""
    if os.geteuid() != 0:
        raise LabError("A network to scan takes root.", hint="Run it as root, in a container or a virtual machine.")
    for tool in ("ip", "nft", "ss"):
        if shutil.which(tool) is None:
            raise LabError(f"{tool} is not installed.", hint="Debian: apt install iproute2 nftables")
    with ExitStack() as stack:
        yield Lab(stack, hosts() if wanted is None else wanted)


def _do(*command: str, stdin: str = "") -> str:
    done = subprocess.run(command, input=stdin.encode(), capture_output=True, timeout=60, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command[:6])}: {done.stderr.decode(errors='replace').strip()[:500]}")
    return done.stdout.decode()


def _eventually(check: Callable[[], bool], failed: str, log: Path) -> None:
    deadline, pause = time.monotonic() + _WAIT_S, threading.Event()
    while not check():
        if time.monotonic() > deadline:
            raise SpectraError(f"{failed}: {log.read_text(errors='replace')[-500:]}", reason="bench")
        pause.wait(0.02)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
