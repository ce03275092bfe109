"""`spectra keys`: make, register, rotate and revoke the keys that sign submissions."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, note, text
from spectra.cli.pages import Command, Group
from spectra.cli.times import ago, stamp
from spectra.errors import BadRequest, NotFound, SetupError

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.identity.keys import SigningKey
    from spectra.model.records import KeyRecord

MIN_PREFIX = 8
STYLES = {"active": "green", "retiring": "yellow", "revoked": "red"}

keys = typer.Typer(cls=Group, help="Make, register, rotate and revoke the keys that sign submissions.")


def _columns(now: datetime) -> list[Column[KeyRecord]]:
    return [
        Column("keyid", lambda k: k.keyid, table=False),
        Column("id", lambda k: k.keyid[:16], "key", data=False, style="cyan"),
        Column("contributor", lambda k: k.contributor, flexible=True),
        Column("role", lambda k: k.role),
        Column("status", lambda k: text(k.status, STYLES.get(k.status, ""))),
        Column("created", lambda k: ago(k.created, now), style="dim"),
        Column("until", lambda k: stamp(k.expires) if k.expires else "", optional=True),
        Column("comment", lambda k: k.comment, flexible=True, optional=True),
    ]


def _print(records: list[KeyRecord], json: bool) -> None:
    emit(records, _columns(datetime.now(UTC)), Target.of(json=json))


def list_keys(
    context: typer.Context,
    *,
    contributor: Annotated[str, typer.Option("--contributor", metavar="NAME", help="Only this account's.")] = "",
    json: JsonOption = False,
) -> None:
    """List the keys the server knows."""
    with Machine.of(context).client(notify=note) as client:
        _print(_known(client, contributor), json)


def _known(client: Client, contributor: str = "") -> list[KeyRecord]:
    from spectra.cli.answers import KeyList

    return list(client.get("/v0/keys", KeyList, {"contributor": contributor} if contributor else None).keys)


def generate(
    *, out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to keep it.")] = None
) -> None:
    """Make an Ed25519 key pair; the private key stays in a file only you can read."""
    from spectra.identity.keys import SigningKey
    from spectra.settings import config_dir

    path = out or config_dir() / "contributor.key"
    key = SigningKey.generate()
    key.save(path)
    sys.stdout.write(f"keyid {key.public.keyid}\npublic {key.public.b64}\n")
    note(f"The private key is in {path}. Next: spectra keys register {path} --contributor NAME")


def register(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The private key, as made by `keys generate`.")],
    contributor: Annotated[str, typer.Option("--contributor", help="Whom its signatures stand for.")],
    role: Annotated[str, typer.Option("--role", help="What it may do.")] = "contributor",
    comment: Annotated[str, typer.Option("--comment", help="A note for the list of keys.")] = "",
    json: JsonOption = False,
) -> None:
    """Let a key submit: its public half and a proof of possession go to the server, the private half stays."""
    from spectra.identity.keys import SigningKey
    from spectra.identity.rotation import build_registration
    from spectra.model.records import KeyRecord

    key = SigningKey.load(file)
    proof = build_registration(key, contributor=contributor, role=role, now=datetime.now(UTC))
    body = {
        "contributor": contributor,
        "role": role,
        "public_key": key.public.b64,
        "comment": comment,
        "proof": proof.decode("ascii"),
    }
    with Machine.of(context).client(notify=note) as client:
        _print([client.post("/v0/keys", KeyRecord, body)], json)


def use(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The private key, as made by `keys generate`.")],
    contributor: Annotated[str, typer.Option("--contributor", help="The name it was registered under.")],
    server: Annotated[str, typer.Option("--server", metavar="URL", help="Where this machine submits to.")],
) -> None:
    """Let this machine sign with a key and submit to another's server. It needs no token: the signature lets it in."""
    from spectra.identity.keys import SigningKey
    from spectra.identity.tokens import LocalCredential

    machine = Machine.of(context)
    key = SigningKey.load(file)
    own = machine.credential()
    if own is not None and own.token:
        raise SetupError(
            f"{machine.credential_path} belongs to a server that was started here",
            hint="Name another folder: spectra --data-dir DIR keys use ...",
        )
    machine.credential_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    LocalCredential(server.rstrip("/"), "", contributor, str(file.absolute())).save(machine.credential_path)
    sys.stdout.write(f"signing as {text(contributor).plain} with key {key.public.keyid[:16]}\n")
    note("Next: spectra import FILE, or spectra scan TARGET --submit")


def rotate(context: typer.Context, *, json: JsonOption = False) -> None:
    """Replace this machine's key by a new one; the old one stays valid for the server's grace period.

    The new key waits beside the old one until the server has accepted it, so that an interrupted rotation is finished
    by running it again.
    """
    machine = Machine.of(context)
    signer = machine.signer()
    resumed = _spare(signer.path).exists()
    new, spare = _prepared(signer.path)
    with machine.client(notify=note) as client:
        record = (_accepted(client, new) if resumed else None) or _ask(client, signer.key, new)
    _exchange(signer.path, spare)
    _print([record], json)
    note(f"{signer.path} holds the new key.")


def _spare(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _prepared(path: Path) -> tuple[SigningKey, Path]:
    """The key that will take over, from the file an interrupted rotation left, or new and saved there."""
    from spectra.identity.keys import SigningKey

    spare = _spare(path)
    if spare.exists():
        note(f"Going on with the rotation that {spare} was made for.")
        return SigningKey.load(spare), spare
    new = SigningKey.generate()
    new.save(spare)
    return new, spare


def _accepted(client: Client, new: SigningKey) -> KeyRecord | None:
    """The server's record of `new` where an interrupted rotation got that far; None also for who may not see keys."""
    from spectra.cli.problems import ApiError

    try:
        records = _known(client)
    except ApiError as error:
        if error.status not in (401, 403):
            raise
        return None
    return next((r for r in records if r.keyid == new.public.keyid and r.status == "active"), None)


def _ask(client: Client, old: SigningKey, new: SigningKey) -> KeyRecord:
    from spectra.cli.answers import Rotated
    from spectra.identity.rotation import build_rotation

    return client.send("/v0/keys/rotate", build_rotation(old, new, now=datetime.now(UTC)), Rotated).new


def _exchange(path: Path, spare: Path) -> None:
    """Put the new key in the old one's place. Until that is done the old one is also reachable as `.old`."""
    old = path.with_name(f"{path.name}.old")
    try:
        old.unlink(missing_ok=True)
        old.hardlink_to(path)
        spare.replace(path)
        old.unlink()
    except OSError as error:
        raise SetupError(
            f"the server accepted the new key, but {path} could not be replaced: {error.strerror}",
            hint=f"The new key is {spare}; run `spectra keys rotate` again to finish.",
        ) from error


def revoke(
    context: typer.Context,
    *,
    keyid: Annotated[str, typer.Argument(metavar="KEYID", help="The key's id, or its first 8 digits or more.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Revoke a key at once: nothing it signs is accepted from now on. What it signed before stays."""
    from spectra.model.records import KeyRecord

    with Machine.of(context).client(notify=note) as client:
        record = _one(_known(client), keyid.lower())
        if not yes:
            _confirm(record)
        _print([client.post("/v0/keys/revoke", KeyRecord, {"keyid": record.keyid})], json)


def _one(records: list[KeyRecord], keyid: str) -> KeyRecord:
    if len(keyid) < MIN_PREFIX:
        raise BadRequest(f"{keyid!r} is too short", field="keyid", hint=f"Give at least {MIN_PREFIX} digits.")
    found = [record for record in records if record.keyid.startswith(keyid)]
    if not found:
        raise NotFound(f"there is no key {keyid}", hint="`spectra keys list` shows them.")
    if len(found) > 1:
        raise BadRequest(f"{len(found)} keys begin with {keyid}", field="keyid", hint="Give more digits.")
    return found[0]


def _confirm(record: KeyRecord) -> None:
    if not sys.stdin.isatty():
        raise BadRequest("revoking cannot be undone", field="yes", hint="Say --yes.")
    if not typer.confirm(f"Revoke {record.keyid[:16]} of {text(record.contributor).plain}?", err=True):
        raise typer.Exit(1)


keys.command("generate", cls=Command, epilog=examples("spectra keys generate --out laptop.key"))(generate)
keys.command(
    "register", cls=Command, epilog=examples("spectra keys register laptop.key --contributor alice --role contributor")
)(register)
keys.command(
    "use", cls=Command, epilog=examples("spectra keys use probe.pem --contributor probe --server http://10.0.0.5:8765")
)(use)
keys.command("rotate", cls=Command, epilog=examples("spectra keys rotate"))(rotate)
keys.command("revoke", cls=Command, epilog=examples("spectra keys revoke 3fa4c1d2 --yes"))(revoke)
keys.command("list", cls=Command, epilog=examples("spectra keys list", "spectra keys list --json"))(list_keys)
