"""From what a task left to the signed bundle that is submitted. Here are the keys, so what a task says is not trusted.

A large output is sealed by a process of its own (`python -P -m spectra.collect.bundle`): an agent that once held it
five times in its memory would never give that back.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from spectra.collect.sandbox import take
from spectra.collect.spool import write
from spectra.collect.taskmessages import Executed, OutputFile
from spectra.errors import SetupError, SpectraError
from spectra.fabric.nodefolder import NodeFolder
from spectra.identity import dsse, payload, results
from spectra.identity.keys import SigningKey
from spectra.model.work import Order, Stats

HERE_BYTES: Final = 1024 * 1024
"""Outputs up to this size are sealed by the agent itself: a process costs more."""

WITHIN_S: Final = 600.0


class Sealing(msgspec.Struct, frozen=True):
    """All that sealing one attempt takes: folders, the order, how it ended, whose files these are (uid), their bound in
    bytes, and where the bundle goes.
    """

    node_folder: str
    folder: str
    order: Order
    executed: Executed
    uid: int
    most: int
    out: str


def seal(wanted: Sealing) -> None:
    """Write the bundle of an attempt as a file of the spool. Raises `SpectraError`, or `OSError` where it cannot."""
    sizes = sum(_size(Path(wanted.folder) / one.file) for one in (*wanted.executed.outputs, *wanted.executed.artefacts))
    if sizes <= HERE_BYTES:
        seal_here(wanted)
        return
    command = [sys.executable, "-P", "-m", "spectra.collect.bundle"]
    try:
        done = subprocess.run(
            command, input=msgspec.json.encode(wanted), capture_output=True, timeout=WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SetupError("sealing the result took too long.", reason="seal") from error
    if done.returncode:
        raise SetupError(f"the result was not sealed: {done.stderr.decode('utf-8', 'replace')[-300:]}", reason="seal")


def seal_here(wanted: Sealing) -> None:
    """See `seal`; in this process."""
    folder = NodeFolder(Path(wanted.node_folder))
    data = built(wanted, folder.signing_key, folder.state.name, datetime.now(UTC))
    write(Path(wanted.out), data)


def built(wanted: Sealing, key: SigningKey, node: str, now: datetime) -> bytes:
    """The bundle (JSON). Raises `SpectraError` for files that are not as the task says."""
    order, executed, folder, left = wanted.order, wanted.executed, Path(wanted.folder), wanted.most
    observations: list[bytes] = []
    names: list[str] = []
    for output in executed.outputs:
        data = take(folder / output.file, left, wanted.uid)
        left -= len(data)
        if data.strip():
            statement = _observation(wanted, output, data, node, now)
            names.append(payload.observation_id(statement))
            observations.append(dsse.sign(key, statement))
    artefacts: list[results.ArtefactClaim] = []
    files: list[results.File] = []
    for one in executed.artefacts:
        data = take(folder / one.file, left, wanted.uid)
        left -= len(data)
        claim, file = results.artefact(one.kind, one.file, one.media_type, data)
        artefacts.append(claim)
        files.append(file)
    said = results.build(
        lease=order.lease,
        target=order.target,
        attempt=order.attempt,
        node=node,
        outcome=executed.outcome,
        now=now,
        reason=_plain(executed.reason),
        message="".join(c if c.isprintable() else " " for c in executed.message),
        tool=_plain(executed.tool),
        tool_version=_plain(executed.tool_version),
        started=executed.started,
        finished=executed.finished,
        observations=names,
        artefacts=artefacts,
        stats=_stats(executed.stats, wanted.most - left),
    )
    return results.bundle(results.sign(key, said), observations, files)


def _observation(wanted: Sealing, output: OutputFile, data: bytes, node: str, now: datetime) -> bytes:
    order = wanted.order
    return payload.encode(
        payload.build(
            output=data,
            tool=_plain(output.tool),
            tool_version=_plain(output.tool_version),
            scan_id=order.scan_id,
            scan_type=_plain(output.scan_type),
            started=output.started,
            finished=output.finished,
            contributor=f"node-{node}",
            privacy=order.preset.privacy,
            source=_source(order.targets),
            now=now,
        )
    )


def _stats(stats: Stats, size: int) -> Stats:
    return msgspec.structs.replace(stats, output_bytes=size)


def _source(targets: Sequence[str]) -> str:
    return "".join(c if c.isprintable() else " " for c in " ".join(targets))[:1000]


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable())


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def main() -> int:
    """Seal what standard input says."""
    try:
        seal_here(msgspec.json.decode(sys.stdin.buffer.read(), type=Sealing))
    except (SpectraError, OSError) as error:
        sys.stderr.write(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
