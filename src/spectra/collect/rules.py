"""Do-not-scan entries: networks, addresses, ranges and hostnames, each remembering where it was written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spectra.collect import listing
from spectra.collect.netset import EMPTY, NetSet
from spectra.collect.targets import BadTarget, parse_hostname, parse_target
from spectra.errors import SetupError


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry: a set of addresses, or a hostname pattern (`vpn.example.org`, `*.example.org`)."""

    text: str
    addresses: NetSet = EMPTY
    pattern: str = ""
    where: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.where})" if self.where else self.text


def parse_rule(text: str, *, where: str = "") -> Rule:
    """Read one entry; raises `BadTarget` naming `where` (`file:line` or a setting)."""
    word = text.strip()
    if word.startswith("*."):
        return Rule(word, pattern=f"*.{parse_hostname(word[2:], where=where)}", where=where)
    target = parse_target(word, where=where)
    return Rule(word, target.addresses, target.hostname, where)


def parse_rules(text: str, name: str) -> tuple[Rule, ...]:
    """The entries of a do-not-scan file: one a line, `#` starts a comment. Raises `BadTarget` with file and line."""
    return tuple(parse_rule(word, where=f"{name}:{number}") for number, word in listing.entries(text))


def load_rules(paths: Iterable[Path]) -> tuple[Rule, ...]:
    """The entries of all `paths`. A file that cannot be read is an error: scanning on without it would be unlawful."""
    rules: list[Rule] = []
    for path in paths:
        try:
            text = listing.read(path)
        except listing.TooLarge as error:
            raise SetupError(f"the do-not-scan list {error}", reason="do_not_scan_file") from error
        except (OSError, UnicodeDecodeError) as error:
            raise SetupError(f"cannot read the do-not-scan list {path}: {error}", reason="do_not_scan_file") from error
        rules += parse_rules(text, str(path))
    return tuple(rules)


def denied(files: Iterable[Path], own: Iterable[str]) -> list[Rule]:
    """Every entry of a machine: of the lists (`settings.deny_files`) that are there, and of `scan.do_not_scan`."""
    there = [path for path in files if path.exists()]
    return [*load_rules(there), *(parse_rule(text, where="scan.do_not_scan") for text in own)]


def matches(pattern: str, name: str, *, apex: bool) -> bool:
    """Whether `name` falls under `pattern`. `*.example.org` takes subdomains of any depth.

    `apex`: whether it takes `example.org` too. A prohibition does and a permission does not: both err on the side of
    not scanning.
    """
    if not pattern.startswith("*."):
        return name == pattern
    return name.endswith(pattern[1:]) or (apex and name == pattern[2:])


__all__ = ["BadTarget", "Rule", "load_rules", "matches", "parse_rule", "parse_rules"]
