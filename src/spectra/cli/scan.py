"""`spectra scan`: targets checked against the law, scanned, and shown, saved or submitted."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Target, emit, note, plural
from spectra.cli.problems import describe
from spectra.cli.safe import safe
from spectra.cli.scanremote import (
    DEFAULT_PRESET,
    Leave,
    NodeOption,
    Place,
    PresetOption,
    PriorityOption,
    RegionOption,
    RelayOption,
    RemoteOption,
    UntilOption,
    WatchOption,
    What,
    WindowOption,
    given,
    only,
    scan_remotely,
)
from spectra.cli.times import span
from spectra.errors import BadRequest, SpectraError

if TYPE_CHECKING:
    from spectra.cli.local import Signer
    from spectra.collect.consent import Consent
    from spectra.collect.ports import Ports
    from spectra.collect.prepare import Prepared
    from spectra.collect.rules import Rule
    from spectra.collect.scanners.base import Progress, RawOutput, Scanner, ScanRequest
    from spectra.collect.scope import OutOfScope, Scope
    from spectra.collect.targets import Target as ScanTarget
    from spectra.model.envelope import Privacy, Receipt
    from spectra.settings import Settings

DEFAULT_PORTS = "top1000"
CONSENT_LASTS = timedelta(days=1)
ASK_ABOVE = timedelta(minutes=30)
MAX_NAME = 200  # characters of a scan's id: the gate takes no more

ScannerOption = Annotated[
    Literal["auto", "naabu", "nmap", "connect"],
    typer.Option("--scanner", help="auto takes naabu, else nmap, else the built-in connect scanner."),
]
PrivacyOption = Annotated[
    Literal["full", "meta-only"],
    typer.Option("--privacy", help="meta-only keeps banners, titles and certificates here."),
]
AllowOption = Annotated[
    list[str] | None, typer.Option("--allow", metavar="CIDR", help="Allow this special-use network for this scan.")
]
ConsentOption = Annotated[
    str, typer.Option("--consent", metavar="REASON", help="Record for a day who agreed to the scan, and why.")
]
PlanOption = Annotated[str, typer.Option("--plan", metavar="ID", help="Scan what this plan says, oldest first.")]
MostOption = Annotated[
    int, typer.Option("--max", min=0, metavar="N", help="At most so many targets of the plan; 0: all.")
]
TargetsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="TARGET...", help="Addresses, networks, ranges, hostnames.")
]
PortsOption = Annotated[
    str, typer.Option("--ports", "-p", metavar="SPEC", help="22,80,8000-8100, U:53, top100, top1000 or all.")
]
SubmitOption = Annotated[bool, typer.Option("--submit", help="Sign what was found and submit it.")]
SkipOption = Annotated[bool, typer.Option("--skip-forbidden", help="Leave out what may not be scanned.")]
RateOption = Annotated[int, typer.Option("--rate", min=0, metavar="N", help="Most probes a second; 0: settings.")]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", min=0, metavar="S", help="Longest wait for an answer; 0: settings.")
]
FromOption = Annotated[
    Path | None, typer.Option("--from-file", "-f", metavar="FILE", help="Read targets; - is standard input.")
]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Keep the original output.")]
NameOption = Annotated[str, typer.Option("--name", metavar="SCAN_ID", help="The scan's id; made up if left out.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a long scan.")]


def scan(
    context: typer.Context,
    *,
    targets: TargetsArgument = None,
    ports: PortsOption = DEFAULT_PORTS,
    scanner: ScannerOption = "auto",
    submit: SubmitOption = False,
    privacy: PrivacyOption = "full",
    allow: AllowOption = None,
    consent: ConsentOption = "",
    skip: SkipOption = False,
    rate: RateOption = 0,
    timeout: TimeoutOption = 0.0,
    from_file: FromOption = None,
    out: OutOption = None,
    name: NameOption = "",
    yes: YesOption = False,
    plan: PlanOption = "",
    most: MostOption = 0,
    remote: RemoteOption = False,
    preset: PresetOption = DEFAULT_PRESET,
    watch: WatchOption = False,
    priority: PriorityOption = 0,
    node: NodeOption = "",
    region: RegionOption = "",
    relay: RelayOption = False,
    window: WindowOption = None,
    until: UntilOption = "",
    json: JsonOption = False,
) -> None:
    """Scan targets and show what was found, keep the tool's output with -o, or submit it with --submit.

    Before any packet the do-not-scan list, special-use ranges (RFC 6890, which need --allow) and recorded consent are
    checked. Ctrl-C ends the scan and keeps, or submits, what was found until then.

    With --plan the targets of a plan are scanned, each on the ports it is planned for. Run it again to go on: what was
    submitted is gone from the plan.

    With --remote machines of the mesh scan, and what they find is in the graph: whoever is unplugged in between. With
    --watch the command waits for that; Ctrl-C ends the waiting and not the job.
    """
    from spectra.cli.exclusions import listed
    from spectra.model.envelope import Privacy

    only(context, remote=remote)
    machine, wanted = Machine.of(context), _Wanted(plan, scanner, most, targets or [], from_file, ports, yes)
    if remote:
        what = What(*wanted.remotely(ports=given(context, "ports")), preset, rate, priority, _checked(name))
        place, leave = Place(node, region, relay, window or ()), Leave(consent, until, allow or (), skip)
        raise typer.Exit(scan_remotely(machine, what, place, leave, watch=watch, json=json))
    _require_place(out)
    job = Job(machine, _scan_id(name), Privacy(privacy), out, json, machine.signer() if submit else None)
    law = _Law(machine.settings, tuple(allow or ()), consent, skip, tuple(listed(machine)))
    raise typer.Exit(_scan_here(wanted, job, law, _Pace(machine.settings, job.privacy, rate, timeout)))


SCAN_EXAMPLES = examples(
    "spectra scan 192.0.2.10 --consent 'ticket 4711' --submit",
    "spectra scan 192.168.1.0/24 --allow 192.168.1.0/24 --ports top100",
    "spectra scan www.example.org --scanner nmap -p 22,80,443 -o scan.xml",
    "spectra scan -f targets.txt --privacy meta-only --submit --name weekly-17",
    "spectra scan --plan plan-0f1e2d3c4b5a69788796 --submit --max 500",
    "spectra scan 198.51.100.0/24 --remote --preset web --consent 'contract 17' --watch",
)


@dataclass(frozen=True)
class _Pace:
    """How hard to scan, and what to keep of it."""

    settings: Settings
    privacy: Privacy
    rate: int
    timeout: float

    def request(self, prepared: Prepared, ports: Ports) -> ScanRequest:
        """The scan of what was prepared."""
        from spectra.collect.scanners.base import ScanRequest

        scan = self.settings.scan
        return ScanRequest(
            targets=prepared.targets,
            ports=ports,
            scope=prepared.scope,
            rate=self.rate or scan.rate,
            concurrency=scan.concurrency,
            timeout_s=self.timeout or scan.timeout_s,
            privacy=self.privacy,
        )


class _Wanted(NamedTuple):
    """Targets and ports, or the plan to work off and how much of it; with what; and whether to go on unasked."""

    plan: str
    scanner: str
    most: int
    words: Sequence[str]
    file: Path | None
    ports: str
    yes: bool

    def remotely(self, *, ports: bool) -> tuple[tuple[ScanTarget, ...], str, int, str]:
        """Targets, plan, how much of it, and the ports if they were given: else they are those of the preset."""
        if self.plan:
            _require_alone(self.words, self.file, self.ports)
            return (), self.plan, self.most, ""
        return _targets(self.words, self.file), "", 0, self.ports if ports else ""


def _scan_here(wanted: _Wanted, job: Job, law: _Law, pace: _Pace) -> int:
    """Scan from this machine; the exit code."""
    from spectra.collect.ports import parse_ports
    from spectra.collect.scanners.choose import choose

    if wanted.plan:
        _require_alone(wanted.words, wanted.file, wanted.ports)
        return _work_off(wanted, job, law, pace)
    targets = _targets(wanted.words, wanted.file)
    port_list = parse_ports(wanted.ports)
    tool = choose(wanted.scanner)
    request = pace.request(law.prepare(targets), port_list)
    _announce(tool, request, wanted.yes)
    return job.finish(_run(tool, request), " ".join(target.text for target in targets))


def _work_off(wanted: _Wanted, job: Job, law: _Law, pace: _Pace) -> int:
    """Scan the targets of a plan."""
    from spectra.cli.planned import Work, choose, work_off
    from spectra.collect.ports import Ports

    work = Work(choose(wanted.scanner), law.prepare, lambda prepared: pace.request(prepared, Ports()))
    with job.machine.client(patient=True, notify=note) as client:
        return work_off(client, wanted.plan, job, work, wanted.most)


def _require_alone(targets: Sequence[str] | None, file: Path | None, ports: str) -> None:
    """A plan says itself what is scanned."""
    if targets or file or ports != DEFAULT_PORTS:
        raise BadRequest(
            "a plan has its own targets and ports", field="plan", hint="Leave out TARGET, --from-file and --ports."
        )


def _require_place(out: Path | None) -> None:
    """Refuse what cannot be written to, which is not the time to find out after a long scan either."""
    if out and (out.is_dir() or not os.access(out.parent, os.W_OK | os.X_OK)):
        why = "it is a folder" if out.is_dir() else f"the folder {out.parent} is not there or not yours to write to"
        raise BadRequest(f"cannot write {out}: {why}", field="out")


def _scan_id(name: str) -> str:
    """`name`, or one made up if that is empty."""
    from spectra.collect.submission import new_scan_id

    return _checked(name) or new_scan_id(datetime.now(UTC))


def _checked(name: str) -> str:
    """`name` if it can be submitted, which is not the time to find out after a long scan."""
    if len(name) > MAX_NAME or not name.isprintable():
        raise BadRequest(f"a scan's id has at most {MAX_NAME} printable characters", field="name")
    return name


def _targets(words: Sequence[str], file: Path | None) -> tuple[ScanTarget, ...]:
    from spectra.collect.targets import parse_targets, read_targets

    found = (*parse_targets(words), *(read_targets(file) if file else ()))
    if not found:
        raise BadRequest("there is no target", field="target", hint="Name an address, a network or a hostname.")
    return found


@dataclass(frozen=True)
class _Law:
    """What this command may scan besides the settings, and who agreed to it."""

    settings: Settings
    allow: tuple[str, ...]
    reason: str
    skip: bool
    never: tuple[Rule, ...] = ()  # what the server says is never scanned

    def prepare(self, targets: tuple[ScanTarget, ...], what: str = "") -> Prepared:
        """Check and resolve; where only consent is missing, record what `reason` or the person at the terminal says.

        `what` names the targets in that question; by default all that is going on record.
        """
        from spectra.cli.scopes import ask, record_consent
        from spectra.collect.scope import OutOfScope

        try:
            prepared = self._attempt(targets)
        except OutOfScope as error:
            if not self._only_consent(error, targets):
                raise
            said = self.reason or ask(what or ", ".join(target.text for target in targets))
            now = datetime.now(UTC)
            record_consent([target.text for target in targets], said, now, expires=now + CONSENT_LASTS)
            prepared = self._attempt(targets)
        for fault in prepared.skipped:
            note(f"left out: {fault.message}")
        return prepared

    def law(self, consents: Sequence[Consent] = ()) -> Scope:
        """The law as it stands now, with `consents` besides: one may have been recorded a moment ago."""
        from spectra.cli.scopes import law

        return law(self.settings, self.allow, consents, never=self.never)

    def _attempt(self, targets: tuple[ScanTarget, ...], consents: Sequence[Consent] = ()) -> Prepared:
        import asyncio

        from spectra.collect.prepare import prepare

        return asyncio.run(prepare(targets, self.law(consents), datetime.now(UTC), skip=self.skip))

    def _only_consent(self, error: OutOfScope, targets: tuple[ScanTarget, ...]) -> bool:
        """Whether a consent would do: what is skipped for another reason may be the first that `error` tells of."""
        from spectra.collect.consent import Consent
        from spectra.collect.scope import OutOfScope

        if error.reason == "no_consent" or not self.skip:
            return error.reason == "no_consent"
        supposed = Consent(tuple(target.text for target in targets), "-", "-", datetime.now(UTC))
        try:
            self._attempt(targets, [supposed])
        except OutOfScope:
            return False
        return True


def _announce(tool: Scanner, request: ScanRequest, yes: bool) -> None:
    """Say what is about to happen, and ask a person before it takes longer than half an hour."""
    addresses = request.targets.addresses.size
    count = request.ports.count("tcp") + request.ports.count("udp")
    length = timedelta(seconds=addresses * count / request.rate)
    note(f"{tool.name}: {plural(addresses, 'address', 'addresses')}, {plural(count, 'port')}, {request.rate:,}/s")
    if length > ASK_ABOVE and not yes and sys.stdin.isatty():
        typer.confirm(f"At this rate it takes up to {span(length)}. Go on?", default=False, abort=True, err=True)


def _run(tool: Scanner, request: ScanRequest) -> tuple[RawOutput, ...]:
    """Scan with a bar. Ctrl-C cancels the scan, which then hands out what it has; a second one gives up."""
    import asyncio

    from spectra.cli.progress import bar
    from spectra.collect.scanners.choose import run

    with bar("scanning") as progress:

        def moved(state: Progress) -> None:
            progress.move(state.fraction, 1.0, f"{plural(state.found, 'endpoint')} {state.note}".strip())

        return asyncio.run(run(tool, request, moved))


@dataclass(frozen=True)
class Job:
    """What is to be done with the outputs of one scan; `signer` is None where nothing is to be submitted."""

    machine: Machine
    scan_id: str
    privacy: Privacy
    out: Path | None
    json: bool
    signer: Signer | None

    def finish(self, outputs: Sequence[RawOutput], source: str) -> int:
        """Keep, submit or show `outputs`; the exit code, 130 for a scan that was stopped."""
        for output in outputs:
            for said in output.notes:
                note(f"{output.tool}: {said}")
        if self.out:
            self.save(outputs, self.out)
        if self.signer:
            self.deliver(outputs, source, self.signer)
            note(f"Next: spectra search scan:{self.scan_id}")
        elif not self.out:
            self.show(outputs)
        return 130 if any(output.stopped for output in outputs) else 0

    def save(self, outputs: Sequence[RawOutput], path: Path) -> None:
        """Write the first output to `path` and further ones beside it."""
        from spectra.cli.output import replaced

        for number, output in enumerate(outputs):
            # nmap takes one address family in a run: the second output goes beside the first
            file = path.with_name(f"{path.stem}-{number + 1}{path.suffix}") if number else path
            with replaced(file) as stream:
                stream.write(output.data)
            note(f"{output.tool} output kept in {file}")

    def deliver(self, outputs: Sequence[RawOutput], source: str, signer: Signer) -> None:
        """Send every output; keep those that could not be sent, also after Ctrl-C, then raise the first reason."""
        failed: list[SpectraError] = []
        for number, output in enumerate(outputs, 1):
            try:
                self._print(self._send(output, source, signer))
            except SpectraError as error:
                failed.append(error)
                self._keep(output, number)
            except KeyboardInterrupt:
                for later, unsent in enumerate(outputs[number - 1 :], number):
                    self._keep(unsent, later)
                raise
        if failed:
            for error in failed[1:]:
                note("\n".join(describe(error)))
            raise failed[0]

    def _send(self, output: RawOutput, source: str, signer: Signer) -> Receipt:
        from spectra.collect.submission import seal
        from spectra.model.envelope import Receipt

        envelope = seal(
            output,
            signer.key,
            contributor=signer.contributor,
            now=datetime.now(UTC),
            privacy=self.privacy,
            source=safe(source, 1000),
            scan_id=self.scan_id,
        )
        with self.machine.client(notify=note) as client:
            receipt = client.send("/v0/mesh/ingest", envelope, Receipt)
        if receipt.status == "failed":
            raise SpectraError(receipt.error or "the submission failed", reason="submission_failed")
        return receipt

    def _print(self, receipt: Receipt) -> None:
        if self.json:
            emit([receipt], [], Target.of(json=True))
            return
        counts = receipt.counts
        brought = f"{plural(counts.hosts, 'host')}, {plural(counts.endpoints, 'endpoint')}"
        missing = f", {plural(counts.problems, 'record')} not kept" if counts.problems else ""
        again = " (known already)" if receipt.duplicate else ""
        sys.stdout.write(f"submitted: {brought}{missing}{again}\nobservation {safe(receipt.observation_id)}\n")

    def _keep(self, output: RawOutput, number: int) -> None:
        """Put an output that could not be submitted where it can be sent from later."""
        from spectra.identity import private_file

        if not output.data.strip():
            return
        suffix = f"-{number}" if number > 1 else ""
        file = f"{safe(self.scan_id, 50).replace('/', '_')}{suffix}-{secrets.token_hex(2)}.{ending(output)}"
        path = self.machine.settings.data_dir / "unsent" / file
        try:
            private_file.write(path, output.data)
        except SpectraError:
            path = Path.cwd() / file  # rather here than nowhere
            private_file.write(path, output.data)
        note(f"The output was not submitted; it is kept. Send it later: spectra import {path} --source {self.scan_id}")

    def show(self, outputs: Sequence[RawOutput]) -> None:
        """Print the open endpoints."""
        from spectra.cli.found import COLUMNS, found

        rows = chain.from_iterable(found(output.data) for output in outputs)
        count = emit(rows, COLUMNS, Target.of(json=self.json))
        note(f"{plural(count, 'open endpoint')} found. --submit puts what is found into the graph.")


def ending(output: RawOutput) -> str:
    """The usual ending of a file with this output."""
    return "xml" if output.data.lstrip().startswith(b"<") else "jsonl"
