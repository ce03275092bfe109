"""`spectra scope`: what this machine may scan. Special-use networks allowed, targets denied, consent on record."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, note
from spectra.cli.pages import Command, Group
from spectra.cli.times import parse_until, stamp
from spectra.errors import BadRequest, NotFound, SetupError

if TYPE_CHECKING:
    from spectra.collect.consent import Consent
    from spectra.collect.rules import Rule
    from spectra.collect.scope import Scope
    from spectra.settings import Settings

Row = dict[str, str]

scope = typer.Typer(cls=Group, help="Say what this machine may scan, and what never.")
TargetsArgument = Annotated[
    list[str], typer.Argument(metavar="TARGET...", help="Addresses, networks, ranges, hostnames, *.example.org.")
]
NetworksArgument = Annotated[list[str], typer.Argument(metavar="CIDR...", help="Special-use networks (RFC 6890).")]
RemoveOption = Annotated[bool, typer.Option("--remove", help="Take it off the list instead.")]


def deny_file() -> Path:
    """The user's do-not-scan list."""
    from spectra.settings import deny_files

    return deny_files()[1]


def consent_file() -> Path:
    """The user's record of consents."""
    from spectra.settings import config_dir

    return config_dir() / "consent.jsonl"


def denied(settings: Settings) -> list[Rule]:
    """Every do-not-scan entry: the system's file, the user's file, the settings."""
    from spectra.collect import rules
    from spectra.settings import deny_files

    return rules.denied(deny_files(), settings.scan.do_not_scan)


def law(
    settings: Settings, allow: Iterable[str] = (), consents: Iterable[Consent] = (), never: Iterable[Rule] = ()
) -> Scope:
    """The law of this machine, with what a command allows and has consent for besides, and what its server forbids."""
    from spectra.collect.consent import load
    from spectra.collect.scope import Scope

    return Scope(
        allow=[*settings.scan.allow, *allow],
        do_not_scan=[*denied(settings), *never],
        consents=[*load(consent_file()), *consents],
    )


def show(context: typer.Context, *, json: JsonOption = False) -> None:
    """Show what is allowed, denied and consented to, and where each is written."""
    from spectra.cli import exclusions

    machine = Machine.of(context)
    rows = [*_rows(machine.settings, datetime.now(UTC)), *exclusions.rows(machine)]
    columns: list[Column[Row]] = [
        Column("rule", lambda r: r["rule"], style="bold"),
        Column("targets", lambda r: r["targets"], flexible=True),
        Column("note", lambda r: r["note"], flexible=True, optional=True),
        Column("where", lambda r: r["where"], flexible=True, optional=True, style="dim"),
    ]
    if not emit(rows, columns, Target.of(json=json)):
        note("Nothing is allowed, denied or consented to yet: `spectra scan` asks before its first packet.")


def _rows(settings: Settings, now: datetime) -> Iterator[Row]:
    from spectra.collect.consent import load

    for network in settings.scan.allow:
        yield {"rule": "allow", "targets": network, "note": "special use", "where": "scan.allow"}
    for rule in denied(settings):
        yield {"rule": "deny", "targets": rule.text, "note": "", "where": rule.where}
    for consent in load(consent_file()):
        until = f"until {stamp(consent.expires)}" if consent.expires else "until further notice"
        word = "consent" if consent.in_force(now) else "expired"
        why = f"{consent.reason} ({consent.by}, {until})"
        yield {"rule": word, "targets": ", ".join(consent.targets), "note": why, "where": str(consent_file())}


def allow(context: typer.Context, *, networks: NetworksArgument, remove: RemoveOption = False) -> None:
    """Allow special-use networks, such as your own private one. Scanning them still needs consent."""
    from spectra.cli.configs import store
    from spectra.collect.scope import Scope

    Scope(allow=networks)  # refuses what is no network
    held = list(Machine.of(context).settings.scan.allow)
    if remove:
        _require_listed(networks, held)
        held = [network for network in held if network not in networks]
    else:
        held += [network for network in networks if network not in held]
    note(f"scan.allow is set in {store('scan.allow', held)}.")


def deny(
    *,
    targets: TargetsArgument,
    remove: RemoveOption = False,
    reason: Annotated[str, typer.Option("--reason", help="A word for who reads the list.")] = "",
) -> None:
    """Never scan these targets, whatever else is allowed. Everything written in the list stays as it is."""
    from spectra.collect.rules import parse_rule

    wanted = [parse_rule(text, where="argument").text for text in targets]
    path = deny_file()
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    held = [line.partition("#")[0].strip() for line in lines]
    if remove:
        _require_listed(wanted, held)
        lines = [line for line, text in zip(lines, held, strict=True) if text not in wanted]
    else:
        comment = f"  # {' '.join(reason.split())}" if reason else ""
        lines += [f"{text}{comment}" for text in wanted if text not in held]
    _write(path, lines)
    note(f"{len(wanted)} {'removed from' if remove else 'on'} the do-not-scan list {path}.")


def _require_listed(wanted: Iterable[str], held: Iterable[str]) -> None:
    for text in wanted:
        if text not in held:
            raise NotFound(f"{text} is not on the list", hint="`spectra scope show` shows what is.")


def _write(path: Path, lines: Iterable[str]) -> None:
    from spectra.cli.output import replaced

    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SetupError(f"cannot make {path.parent}: {error.strerror}") from error
    with replaced(path) as stream:
        stream.write("".join(f"{line}\n" for line in lines).encode())


def consent(
    *,
    targets: TargetsArgument,
    reason: Annotated[str, typer.Option("--reason", help="Who agreed to the scan, and why.")],
    by: Annotated[str, typer.Option("--by", help="Who records it; you by default.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="30d, or a date; open end if left out.")] = "",
) -> None:
    """Put on record that targets may be scanned: who agreed, why, and until when."""
    now = datetime.now(UTC)
    record_consent(targets, reason, now, by=by, expires=parse_until(until, now) if until else None)
    note(f"Recorded in {consent_file()}.")


def record_consent(
    targets: Iterable[str], reason: str, now: datetime, *, by: str = "", expires: datetime | None = None
) -> Consent:
    """Append a consent to the user's record; raises `BadRequest` for an empty reason or a wrong target."""
    from spectra.collect.consent import Consent, grant

    if not reason.strip():
        raise BadRequest("a consent needs a reason", field="reason", hint="Say who agreed to the scan, and why.")
    record = Consent(targets=tuple(targets), by=by or user_name(), reason=reason.strip(), granted=now, expires=expires)
    grant(consent_file(), record)
    return record


def user_name() -> str:
    """Who is at the keyboard, as the system knows them."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"


def ask(what: str) -> str:
    """Ask on the terminal for the reason of a consent; raises `BadRequest` where nobody can answer."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BadRequest(
            f"no recorded consent covers {what}",
            reason="no_consent",
            hint="Say --consent REASON, or record it: spectra scope consent TARGET --reason REASON.",
        )
    note(f"Nothing on record says that {what} may be scanned.")
    return typer.prompt("Who agreed to this scan, and why (empty to stop)", default="", show_default=False, err=True)


scope.command("show", cls=Command, epilog=examples("spectra scope show", "spectra scope show --json"))(show)
scope.command("allow", cls=Command, epilog=examples("spectra scope allow 192.168.1.0/24"))(allow)
scope.command("deny", cls=Command, epilog=examples("spectra scope deny 192.168.1.1 '*.example.org'"))(deny)
scope.command(
    "consent",
    cls=Command,
    epilog=examples("spectra scope consent 192.168.1.0/24 --reason 'my own network' --until 30d"),
)(consent)
