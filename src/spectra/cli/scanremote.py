"""`spectra scan --remote`: machines of the mesh scan, and bring what they find into the graph."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from spectra.cli import completion
from spectra.cli.output import json_line, note, plural
from spectra.cli.safe import safe
from spectra.cli.times import parse_until
from spectra.errors import BadRequest, SpectraError

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.cli.local import Machine
    from spectra.collect.consent import Consent
    from spectra.collect.netset import NetSet
    from spectra.collect.scope import OutOfScope
    from spectra.collect.targets import Target
    from spectra.model.work import JobRecord
    from spectra.settings import Settings

DEFAULT_PRESET = "services"
MAX_TARGETS = 10_000
"""Targets that a request may name; more are told as networks."""

RemoteOption = Annotated[bool, typer.Option("--remote", help="Have machines of the mesh scan, instead of this one.")]
PresetOption = Annotated[
    str,
    typer.Option("--preset", metavar="NAME", help="How they scan: spectra presets.", autocompletion=completion.presets),
]
WatchOption = Annotated[bool, typer.Option("--watch", help="Follow the job to its end; 1: a part of it failed.")]
PriorityOption = Annotated[
    int, typer.Option("--priority", min=-100, max=100, metavar="N", help="The highest first; 0 is usual.")
]
NodeOption = Annotated[str, typer.Option("--node", metavar="NAME", help="Only this machine.")]
RegionOption = Annotated[str, typer.Option("--region", metavar="NAME", help="Only machines of this region.")]
RelayOption = Annotated[bool, typer.Option("--relay", help="Only machines that send through a relay.")]
WindowOption = Annotated[
    list[str] | None,
    typer.Option("--window", metavar="WHEN", help="Only then: 'Mon-Fri 22:00-06:00 Europe/Paris'; any number of them."),
]
UntilOption = Annotated[
    str, typer.Option("--consent-until", metavar="TIME", help="Until when the consent holds: 7d, 2026-03-01.")
]


class What(NamedTuple):
    """What is to be scanned and how: targets, or a plan and how much of it (0: all)."""

    targets: tuple[Target, ...] = ()
    plan: str = ""
    most: int = 0
    ports: str = ""
    preset: str = DEFAULT_PRESET
    rate: int = 0
    priority: int = 0
    name: str = ""


class Place(NamedTuple):
    """Which machines may do it, and when."""

    node: str = ""
    region: str = ""
    relay: bool = False
    windows: Sequence[str] = ()


class Leave(NamedTuple):
    """By whose leave, until when, into which special-use networks; and whether to leave out what is forbidden."""

    consent: str = ""
    until: str = ""
    allow: Sequence[str] = ()
    skip: bool = False


# Options that say something about one way of scanning alone.
_HERE: Final = {"scanner": "scanner", "submit": "submit", "privacy": "privacy", "timeout": "timeout", "out": "out"}
_REMOTE: Final = {
    **{name: name for name in ("preset", "watch", "priority", "node", "region", "relay", "window")},
    "until": "consent-until",
}


def given(context: typer.Context, name: str) -> bool:
    """Whether the person gave this option, be it as it is by default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def only(context: typer.Context, *, remote: bool) -> None:
    """Refuse options that would be ignored: a person who gives one means something by it."""
    for name, option in (_HERE if remote else _REMOTE).items():
        if given(context, name):
            said = "is for scans from here" if remote else "is for machines of the mesh"
            hint = _INSTEAD.get(name, "Leave it out.") if remote else "Say --remote too, or leave it out."
            raise BadRequest(f"--{option} {said}", field=option, hint=hint)


_INSTEAD: Final = {
    "scanner": "Choose a preset: spectra presets.",
    "submit": "Leave it out: machines sign and submit by themselves.",
    "privacy": "Choose a preset that keeps less: spectra presets.",
    "timeout": "Choose another preset: spectra presets.",
    "out": "Leave it out: spectra jobs files lists the original outputs when they are there.",
}


def scan_remotely(machine: Machine, what: What, place: Place, leave: Leave, *, watch: bool, json: bool) -> int:
    """Make a job of it, and follow it where that is asked for; the exit code."""
    from spectra.cli import watching

    body = request(machine.settings, what, place, leave, datetime.now(UTC))
    with machine.client(notify=note) as client:
        job = _ask(client, body)
        if not (watch and json):
            line = f"{job.job}: {plural(job.total, 'target')} of {job.what}, preset {job.preset}"
            sys.stdout.write(f"{json_line(job) if json else safe(line)}\n")
            sys.stdout.flush()
        for part in job.left_out:
            note(f"left out: {part}")
        for line in _trouble(client, job):
            note(line)
    if not watch:
        note(f"Follow it: spectra jobs watch {job.job}")
        return 0
    with machine.client(attempts=1, notify=note) as client:
        return watching.watch(client, job.job, json=json)


def _ask(client: Client, body: dict[str, object]) -> JobRecord:
    """The job. However often the connection breaks, there is one."""
    from spectra.model.work import JobRecord

    try:
        return client.post("/v0/jobs", JobRecord, body, key=secrets.token_hex(16))
    except KeyboardInterrupt:
        note("Perhaps the job was taken before you interrupted: spectra jobs")
        raise


def _trouble(client: Client, job: JobRecord) -> Iterator[str]:
    """Why nothing of the job may move at the moment, and what to do about that."""
    from spectra.cli.jobs import held
    from spectra.model.work import WorkStatus

    if job.waits_for:
        yield f"Nothing of it moves yet: {job.waits_for}."
        return
    try:
        yield from held(client.get("/v0/work", WorkStatus))
    except SpectraError as error:
        yield f"Whether a machine is there to do it is not known: {error.message}"


def request(settings: Settings, what: What, place: Place, leave: Leave, now: datetime) -> dict[str, object]:
    """The body of the request for a job. Raises where this machine's own law forbids it, or nobody has consented."""
    targets = _words(_lawful(settings, what.targets, skip=leave.skip))
    consent, until = _consent(what, leave, now)
    constraints = {"node": place.node, "region": place.region, "relay": place.relay}
    body: dict[str, object] = {
        "targets": targets,
        "plan": what.plan,
        "max_targets": what.most,
        "ports": what.ports,
        "rate": what.rate,
        "priority": what.priority,
        "consent": consent,
        "consent_until": until,
        "allow": list(leave.allow),
        "skip": leave.skip,
        "constraints": {name: value for name, value in constraints.items() if value},
        "windows": list(place.windows),
        "scan_id": what.name,
    }
    return {"preset": what.preset} | {name: value for name, value in body.items() if value}


def _lawful(settings: Settings, targets: Sequence[Target], *, skip: bool) -> list[Target]:
    """`targets` without what this machine's own do-not-scan list names; raises `OutOfScope` unless that is skipped.

    The server holds everything against its own list besides.
    """
    from spectra.cli.scopes import denied
    from spectra.collect.netset import NetSet
    from spectra.collect.rules import matches

    rules = denied(settings)
    named = NetSet.union(rule.addresses for rule in rules)
    never = named | named.translated()
    kept: list[Target] = []
    for target in targets:
        part = target.addresses & never
        by_name = target.hostname and any(r.pattern and matches(r.pattern, target.hostname, apex=True) for r in rules)
        if not part and not by_name:
            kept.append(target)
            continue
        fault = _forbidden(target, whole=bool(by_name) or part == target.addresses)
        if not skip:
            raise fault
        note(f"left out: {fault.message}")
        kept += _rest(target, never)
    if targets and not kept:
        raise BadRequest("nothing of it may be scanned", field="target", hint="Name other targets.")
    return kept


def _forbidden(target: Target, *, whole: bool) -> OutOfScope:
    from spectra.collect.scope import OutOfScope

    return OutOfScope(
        f"{target.text} {'is on' if whole else 'overlaps'} this machine's do-not-scan list.",
        reason="do_not_scan",
        target=target.text,
        hint="Leave it out, or say --skip-forbidden. The list: spectra scope show",
    )


def _rest(target: Target, never: NetSet) -> list[Target]:
    """What remains of a target without the addresses `never`; nothing of a name."""
    from spectra.collect.targets import parse_target

    return [parse_target(str(network)) for network in (target.addresses - never).networks()]


def _words(targets: Sequence[Target]) -> list[str]:
    """Targets as a request names them: each as it was written, or where they are too many as few networks as can be."""
    from spectra.collect.netset import NetSet

    if len(targets) <= MAX_TARGETS:
        return [target.hostname or target.text for target in targets]
    names = list(dict.fromkeys(target.hostname for target in targets if target.hostname))
    networks = NetSet.union(target.addresses for target in targets).networks()
    words = [*names, *(str(network) for network in networks)]
    if len(words) > MAX_TARGETS:
        raise BadRequest(
            f"these are {len(words):,} targets, and a job may name {MAX_TARGETS:,}",
            field="target",
            hint="Make several jobs of them.",
        )
    return words


def _consent(what: What, leave: Leave, now: datetime) -> tuple[str, datetime | None]:
    """Who agreed and until when: what was said, else what is on record here, else what the person at the terminal says.

    Raises `BadRequest` where there is nobody to ask.
    """
    from spectra.cli.scopes import ask, consent_file
    from spectra.collect.consent import load

    until = parse_until(leave.until, now) if leave.until else None
    if leave.consent.strip():
        return leave.consent.strip(), until
    if what.targets and (found := _on_record(load(consent_file()), what.targets, now)):
        ends = [consent.expires for consent in found if consent.expires] + ([until] if until else [])
        said = dict.fromkeys(f"{consent.reason} ({consent.by}, {consent.granted:%Y-%m-%d})" for consent in found)
        return "; ".join(said)[:2000], min(ends, default=None)
    said = ask(f"plan {what.plan}" if what.plan else ", ".join(target.text for target in what.targets[:20]))
    if not said.strip():
        raise BadRequest("a consent needs a reason", field="consent", hint="Say who agreed to the scan, and why.")
    return said.strip(), until


def _on_record(consents: Sequence[Consent], targets: Sequence[Target], now: datetime) -> list[Consent]:
    """Consents that together cover all the targets, the newest first; none where that cannot be."""
    from spectra.collect.consent import covers

    held = [consent for consent in reversed(consents) if consent.in_force(now)]
    if not all(covers(held, target, now) for target in targets):
        return []
    needed: list[Consent] = []
    for target in targets:
        if not covers(needed, target, now):
            alone = next((consent for consent in held if covers([consent], target, now)), None)
            needed += [alone] if alone else [consent for consent in held if consent not in needed]
    return needed
