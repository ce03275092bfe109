"""Recorded consent: who said that what may be scanned, why, and until when.

An append-only file of JSON lines with mode 0600. Nothing is scanned that no record covers.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from spectra.collect.netset import EMPTY, NetSet
from spectra.collect.rules import Rule, matches, parse_rule
from spectra.collect.targets import BadTarget, Target
from spectra.errors import BadRequest, SetupError

MAX_FILE = 16 * 1024 * 1024

Text = Annotated[str, Meta(min_length=1, max_length=2000)]
Moment = Annotated[datetime, Meta(tz=True)]


class Consent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record. `targets` are networks, addresses, ranges or hostnames (`*.example.org` covers subdomains only).

    In force from `granted` until `expires` (exclusive; None: until further notice).
    """

    targets: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=10_000)]
    by: Text
    reason: Text
    granted: Moment
    expires: Moment | None = None

    def in_force(self, now: datetime) -> bool:
        """Whether the record holds at `now`."""
        return self.granted <= now and (self.expires is None or now < self.expires)


def grant(path: Path, consent: Consent) -> None:
    """Append `consent` to the file, making it (0600) if needed; on return it is on disk.

    Raises `BadRequest` for a record that says nothing or names no target, `SetupError` if the file cannot be written.
    """
    record = _checked(consent)
    line = msgspec.json.encode(record) + b"\n"
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, flags, 0o600)
        try:
            # One write: with O_APPEND two processes that grant at once cannot mix their lines.
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SetupError(f"cannot record consent in {path}: {error.strerror}", reason="consent_file") from error


def load(path: Path) -> tuple[Consent, ...]:
    """All records of the file, oldest first; none if there is no file.

    Raises `SetupError` naming file and line: a record that cannot be read is not a consent, nor a reason to go on.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = stream.read(MAX_FILE + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SetupError(f"cannot read consent in {path}: {error.strerror}", reason="consent_file") from error
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        hint = f"Check its lines, then: chmod 600 {path}"
        raise SetupError(f"others may write to the consent file {path}", reason="consent_file", hint=hint)
    if len(data) > MAX_FILE:
        raise SetupError(f"the consent file {path} is larger than {MAX_FILE} bytes", reason="consent_file")
    return tuple(_decode(line, path, n) for n, line in enumerate(data.splitlines(), 1) if line.strip())


def covers(consents: Iterable[Consent], target: Target, now: datetime) -> bool:
    """Whether records in force at `now` cover all of `target`; a hostname only by name."""
    permits = Permits.of(consents, now)
    if target.hostname:
        return permits.name(target.hostname)
    return bool(target.addresses) and not target.addresses - permits.addresses


class Permits(msgspec.Struct, frozen=True):
    """The records in force at one moment, as one set of addresses and a list of name patterns."""

    addresses: NetSet = EMPTY
    patterns: tuple[str, ...] = ()

    @classmethod
    def of(cls, consents: Iterable[Consent], now: datetime) -> Permits:
        """What `consents` permit at `now`."""
        rules = [rule for consent in consents if consent.in_force(now) for rule in _rules(consent)]
        union = NetSet.union(rule.addresses for rule in rules)
        return cls(union, tuple(rule.pattern for rule in rules if rule.pattern))

    def name(self, hostname: str) -> bool:
        """Whether a record covers the name."""
        return any(matches(pattern, hostname, apex=False) for pattern in self.patterns)


def _rules(consent: Consent) -> list[Rule]:
    return [parse_rule(text, where="consent") for text in consent.targets]


def _checked(consent: Consent) -> Consent:
    """`consent` as a reader would take it: types and lengths hold, and every target parses."""
    try:
        record = msgspec.convert(msgspec.to_builtins(consent), Consent)
    except msgspec.ValidationError as error:
        raise BadRequest(f"not a consent record: {error}", reason="bad_consent", field="consent") from error
    _rules(record)
    if record.expires is not None and record.expires <= record.granted:
        raise BadRequest("the consent expires before it is granted", reason="bad_consent", field="expires")
    return record


def _decode(line: bytes, path: Path, number: int) -> Consent:
    try:
        consent = msgspec.json.decode(line, type=Consent)
        _rules(consent)
    except (msgspec.DecodeError, UnicodeDecodeError, BadTarget) as error:
        hint = "Correct or remove that line."
        raise SetupError(f"{path}:{number}: not a consent record: {error}", reason="consent_file", hint=hint) from error
    return consent
