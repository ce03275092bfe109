"""Work as people ask for it: jobs, schedules, and whether anything is handed out. `api.services.Work` says it all."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from ipaddress import ip_address
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from spectra.collect import presets
from spectra.collect.netset import NetSet
from spectra.collect.ports import parse_ports
from spectra.collect.scope import OutOfScope
from spectra.collect.submission import new_scan_id
from spectra.collect.targets import MAX_ADDRESSES, TargetSet, parse_target, parse_targets, too_many
from spectra.errors import BadRequest, NotFound, Unavailable
from spectra.flow import chunks, planning, waits
from spectra.flow.chunks import Wanted
from spectra.flow.dispatch import Holds
from spectra.flow.law import Law
from spectra.flow.orders import Hours, Rules
from spectra.flow.waits import Situation
from spectra.flow.windows import parse_all
from spectra.model import query as queries
from spectra.model.lawbook import LawBook
from spectra.model.presets import Preset
from spectra.model.work import Constraints, JobRecord, JobRequest, Permission, Schedule, WorkerRecord, WorkStatus
from spectra.store import jobs, nodes, schedules, workers, workstate
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.jobs import Held, NewJob, NewTarget

_WHAT: Final = 200  # characters of what was asked for
_LEFT_OUT: Final = 100  # parts that are named
_LOOKED_AT: Final = 100  # waiting targets whose next try is asked for
_MOST_ALLOWED: Final = 16 * 1024  # characters: an order has to fit into one message
_AS_PLANNED: Final = "as planned"
_NO_FABRIC: Final = Holds(database=False, fabric=True, window=False, settling=False)


class Hands(Protocol):
    """What hands targets out: `flow.dispatch.Dispatcher`."""

    def more(self) -> None:
        """Targets may wait that did not before. Never waits."""
        ...

    def cancelled(self, held: Iterable[Held], why: str) -> None:
        """Tell machines to stop at what they do not hold any more."""
        ...

    @property
    def holds(self) -> Holds:
        """Why nothing is handed out at the moment."""
        ...


class Bounds(NamedTuple):
    """What the settings say of jobs: `folders` hold presets besides the built-in ones."""

    chunk: int = 256
    max_waiting: int = 1_000_000
    folders: tuple[Path, ...] = ()


class _Cut(NamedTuple):
    """What is left of a job by the law, as targets, and what it left out."""

    targets: list[NewTarget]
    addresses: int
    left_out: tuple[str, ...]
    permission: Permission


class Work:
    """What people decide is in the store when a call returns, and the dispatcher acts on it at once. Thread-safe."""

    def __init__(
        self, database: Database, law: Law, rules: Rules, bounds: Bounds, *, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self.law: Final = law
        self.rules: Final = rules
        self._bounds = bounds
        self._clock = clock
        self._hours = Hours(rules.windows)
        self._hands: Hands | None = None

    def handed_out_by(self, hands: Hands | None) -> None:
        """Who hands the targets out from now on; None: nobody, there is no fabric."""
        self._hands = hands

    # --- jobs ---

    def ask(self, wanted: JobRequest, act: Act, *, job: str = "", schedule: str = "") -> JobRecord:
        """A new job; where `job` names one that there is already, that one as it stands.

        Raises `BadRequest` naming the field: no or too many targets, an unknown preset, bad ports or windows, no
        consent, what may not be scanned (unless `skip` leaves it out and anything remains); `NotFound` for a plan.
        """
        if job and (known := jobs.find(self._database, job)) is not None:
            return self._told(known)
        preset = self._preset(wanted)
        if wanted.ports:
            parse_ports(wanted.ports)
        parse_all(wanted.windows)
        if not wanted.scan_id.isprintable():
            raise BadRequest("A scan's id is printable.", field="scan_id")
        self._require_machine(wanted.constraints)
        cut = self._planned(wanted, act) if wanted.plan else self._named(wanted, preset, act)
        new = NewJob(
            account=act.by,
            what=_what(wanted),
            preset=preset,
            ports=_AS_PLANNED if wanted.plan else wanted.ports or preset.ports,
            scan_id=wanted.scan_id or new_scan_id(act.now),
            permission=cut.permission,
            priority=wanted.priority,
            rate=wanted.rate,
            constraints=wanted.constraints,
            windows=wanted.windows,
            schedule=schedule,
            left_out=cut.left_out,
            addresses=cut.addresses,
        )
        made = jobs.create(self._database, new, cut.targets, act, max_waiting=self._bounds.max_waiting, job=job)
        self.woken()
        return self._told(made)

    def job(self, job: str) -> JobRecord:
        """A job as it stands, with what it waits for. Raises `NotFound`."""
        return self._told(jobs.get(self._database, job))

    def cancel(self, job: str, reason: str, act: Act) -> JobRecord:
        """No target of it is scanned any more; machines that are at one are told to stop."""
        held = jobs.cancel(self._database, job, act, reason)
        if self._hands is not None:
            self._hands.cancelled(held, f"the job was cancelled by {act.by}{f': {reason}' if reason else ''}")
            self._hands.more()
        return jobs.get(self._database, job)

    def pause(self, job: str, act: Act) -> JobRecord:
        """Hand out no more of it; what machines scan already goes on."""
        return jobs.pause(self._database, job, act)

    def resume(self, job: str, act: Act) -> JobRecord:
        """Hand it out again."""
        record = jobs.resume(self._database, job, act)
        self.woken()
        return self._told(record)

    def prioritise(self, job: str, priority: int, act: Act) -> JobRecord:
        """Give its targets their turn sooner or later than others'."""
        return self._told(jobs.prioritise(self._database, job, priority, act))

    def retry(self, job: str, targets: Sequence[int], act: Act) -> int:
        """Let targets that failed or were cancelled wait again; how many those are."""
        count = jobs.retry(self._database, job, act, targets)
        self.woken()
        return count

    def woken(self) -> None:
        """Targets may wait that did not before. Never waits."""
        if self._hands is not None:
            self._hands.more()

    # --- all of it ---

    def status(self) -> WorkStatus:
        """Whether work is handed out, and to whom."""
        return msgspec.structs.replace(workstate.status(self._database), holds=self._holds().words())

    def pause_all(self, reason: str, act: Act) -> WorkStatus:
        """Hand out nothing."""
        workstate.pause(self._database, True, reason, act)
        return self.status()

    def resume_all(self, act: Act) -> WorkStatus:
        """Hand out again."""
        workstate.pause(self._database, False, "", act)
        self.woken()
        return self.status()

    def drain(self, node: str, on: bool, act: Act) -> WorkerRecord:
        """Give a machine nothing new, or something again."""
        record = workers.drain(self._database, node, on, act)
        self.woken()
        return record

    def presets(self) -> list[Preset]:
        """The ways of scanning, by name. Read anew each time: who adds a file need not restart anything."""
        found = presets.load(self._bounds.folders)
        return [found[name] for name in sorted(found)]

    def law_for_machines(self) -> LawBook:
        """The do-not-scan list as machines are told of it."""
        return self.law.for_machines()

    # --- schedules ---

    def schedule(self, wanted: Schedule, act: Act) -> Schedule:
        """Put a schedule in the place of the one of its name, if any. Raises `BadRequest` as `ask` does."""
        queries.parse(wanted.query, act.now)
        self._known_preset(wanted.preset)
        parse_all(wanted.windows)
        self._require_machine(wanted.constraints)
        self._permission(wanted.consent, wanted.allow, None, act, NetSet())
        return schedules.put(self._database, wanted, act)

    def unschedule(self, name: str, act: Act) -> Schedule:
        """Remove a schedule; its jobs go on."""
        record = schedules.get(self._database, name)
        schedules.remove(self._database, name, act)
        return record

    def pause_schedule(self, name: str, on: bool, act: Act) -> Schedule:
        """Let a schedule rest, or go on."""
        record = schedules.get(self._database, name)
        return schedules.put(self._database, msgspec.structs.replace(record, paused=on), act)

    def run_schedule(self, name: str, act: Act) -> Schedule:
        """Run a schedule as soon as can be, and again from then on; one that rested goes on."""
        record = schedules.get(self._database, name)
        if record.paused:
            schedules.put(self._database, msgspec.structs.replace(record, paused=False), act)
        return schedules.hurry(self._database, name, act)

    # --- what is asked for ---

    def _known_preset(self, name: str) -> Preset:
        found = presets.load(self._bounds.folders)
        preset = found.get(name)
        if preset is None:
            near = difflib.get_close_matches(name, found, 1)
            hint = f'Did you mean "{near[0]}"?' if near else f"There are {', '.join(sorted(found))}."
            raise BadRequest(f"There is no preset {name[:60]!r}.", reason="unknown_preset", field="preset", hint=hint)
        return preset

    def _preset(self, wanted: JobRequest) -> Preset:
        preset = self._known_preset(wanted.preset)
        if not wanted.plan:
            return preset
        # Others do not tell which ports have closed: they would stay in the plan for ever.
        tools = tuple(tool for tool in preset.tools if tool in ("nmap", "connect"))
        if not tools:
            raise BadRequest(
                f"The preset {preset.name} has no tool that tells which ports have closed.",
                field="preset",
                hint="A plan needs one with nmap or the built-in scanner.",
            )
        return msgspec.structs.replace(preset, tools=tools)

    def _named(self, wanted: JobRequest, preset: Preset, act: Act) -> _Cut:
        """Targets that were named."""
        found = chunks.wanted(parse_targets(wanted.targets))
        if not found.names and not found.addresses:
            raise BadRequest("There is no target.", field="targets", hint="Name an address, a network or a hostname.")
        if found.addresses.size > MAX_ADDRESSES:
            raise too_many(found.addresses.size, "the whole of the targets")
        permission = self._permission(wanted.consent, wanted.allow, wanted.consent_until, act, found.addresses)
        kept, left_out = self._lawful(found, permission, act, skip=wanted.skip)
        most = min(wanted.max_targets or self._bounds.max_waiting, self._bounds.max_waiting)
        targets = list(islice(chunks.cut(kept, min(preset.chunk, self._bounds.chunk)), most + 1))
        if len(targets) > most:
            message = f"That is more than {most} targets."
            raise BadRequest(message, reason="too_much_work", field="max_targets", hint="Ask for less of it at once.")
        return _Cut(targets, sum(target.addresses for target in targets), left_out, permission)

    def _planned(self, wanted: JobRequest, act: Act) -> _Cut:
        """Stale endpoints of a plan: each host on the ports it is planned for."""
        if wanted.targets or wanted.ports:
            message = "A plan has its own targets and ports."
            raise BadRequest(message, field="plan", hint="Leave out targets and ports.")
        hosts = planning.hosts(self._database, wanted.plan, act.now, wanted.max_targets)
        if not hosts:
            raise BadRequest(f"Nothing is left of {wanted.plan}.", reason="nothing_to_scan", field="plan")
        addresses = NetSet.ranges((ip, ip) for ip in map(ip_address, hosts))
        permission = self._permission(wanted.consent, wanted.allow, wanted.consent_until, act, addresses)
        kept, left_out = self._lawful(Wanted((), addresses, NetSet()), permission, act, skip=wanted.skip)
        lawful = kept.addresses
        targets = list(chunks.planned((ip, ports) for ip, ports in hosts.items() if ip_address(ip) in lawful))
        return _Cut(targets, len(targets), left_out, permission)

    def _lawful(self, found: Wanted, permission: Permission, act: Act, *, skip: bool) -> tuple[Wanted, tuple[str, ...]]:
        """What may be scanned of `found`, and what was left out, in words."""
        self.law.version()
        remains = self.law.cut(TargetSet(found.addresses), found.names, permission, act.now)
        if remains.refused and (not skip or not remains.targets):
            raise _unlawful(remains.refused[0])
        parsed = [parse_target(text) for text in remains.targets]
        addresses = NetSet.union(target.addresses for target in parsed)
        names = tuple(target.hostname for target in parsed if target.hostname)
        told = tuple(fault.message[:300] for fault in remains.refused[:_LEFT_OUT])
        return Wanted(names, found.hosts & addresses, found.rest & addresses), told

    def _permission(
        self, consent: str, allow: Sequence[str], until: datetime | None, act: Act, targets: NetSet
    ) -> Permission:
        if not consent.strip():
            raise BadRequest(
                "Nobody agreed to this scan.",
                reason="no_consent",
                field="consent",
                hint="Say who agreed and why, such as --consent 'ticket 4711'.",
            )
        if until is not None and until <= act.now:
            raise BadRequest("The consent has ended already.", reason="no_consent", field="consent_until")
        allowed = self.law.allowed(allow, targets)
        if sum(map(len, allowed)) > _MOST_ALLOWED:
            raise BadRequest("Too many networks are allowed at once.", field="allow", hint="Name larger networks.")
        reason = " ".join(consent.split())
        return Permission(by=act.by, reason=reason, granted=act.now, expires=until, allow=allowed)

    def _require_machine(self, wanted: Constraints) -> None:
        if wanted.node and nodes.find(self._database, wanted.node) is None:
            raise BadRequest(
                f"There is no machine {wanted.node}.", field="constraints.node", hint="`spectra nodes` lists them."
            )

    # --- what is told ---

    def _holds(self) -> Holds:
        return self._hands.holds if self._hands is not None else _NO_FABRIC

    def _told(self, record: JobRecord) -> JobRecord:
        """With what it waits for, where nothing of it moves."""
        if record.state != "running" or record.counts.leased or not record.counts.waiting:
            return record
        try:
            at = Situation(
                self.status(),
                nodes.every(self._database),
                self._hours.opens(record.windows, self._clock()),
                self._again(record.job),
                self._clock(),
            )
            preset = jobs.preset(self._database, record.job)
        except (NotFound, Unavailable):  # it is no reason not to tell the rest
            return record
        return msgspec.structs.replace(record, waits_for=waits.why(record, preset, at))

    def _again(self, job: str) -> datetime | None:
        """When the first of its waiting targets may be tried, where all of those that are looked at have to wait."""
        waiting, _ = jobs.targets(self._database, job, state="waiting", limit=_LOOKED_AT)
        later = [target.not_before for target in waiting if target.not_before is not None]
        return min(later) if later and len(later) == len(waiting) else None


def _what(wanted: JobRequest) -> str:
    if wanted.plan:
        return f"plan {wanted.plan}"
    text = " ".join(wanted.targets[:20])
    return text if len(text) <= _WHAT and len(wanted.targets) <= 20 else f"{text[: _WHAT - 4]} ..."


def _unlawful(fault: OutOfScope) -> BadRequest:
    return BadRequest(fault.message, reason=fault.reason, field="targets", hint=fault.hint)
