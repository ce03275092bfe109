"""What tasks learn of relays outlives them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from spectra.collect.relaymemory import RelayKeeper
from spectra.collect.relays import RelayMemory, Setback, read_memory


def memory(*relays: str) -> bytes:
    """Setbacks of these relays."""
    return msgspec.json.encode(RelayMemory(tuple(Setback(relay, "", 1, 9e9) for relay in relays)))


def known(keeper: RelayKeeper) -> set[str]:
    """The relays that wait."""
    return {one.relay for one in read_memory(keeper.known()).setbacks}


def test_what_was_learnt_is_given_to_the_next(tmp_path: Path) -> None:
    """Of two tasks that ran at once, each adds its own; what is well again is forgotten."""
    uid = tmp_path.stat().st_uid
    keeper = RelayKeeper(tmp_path)
    given = keeper.known()
    assert known(keeper) == set()
    for relay in ("one", "two"):
        folder = tmp_path / relay
        folder.mkdir()
        (folder / "relays-learnt.json").write_bytes(memory(relay))
        keeper.learn(folder, given, uid)
    assert known(RelayKeeper(tmp_path)) == {"one", "two"}
    (folder / "relays-learnt.json").write_bytes(memory("one"))
    keeper.learn(folder, keeper.known(), uid)
    assert known(keeper) == {"one"}
    assert (tmp_path / "relays.json").stat().st_mode & 0o777 == 0o600


def test_what_is_no_memory_is_not_kept(tmp_path: Path) -> None:
    """A task that left nothing, a link, or something else has learnt nothing."""
    uid = tmp_path.stat().st_uid
    keeper = RelayKeeper(tmp_path)
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "relays-learnt.json").write_bytes(memory("one"))
    keeper.learn(folder, keeper.known(), uid)
    left = folder / "relays-learnt.json"
    left.unlink()
    keeper.learn(folder, keeper.known(), uid)
    left.symlink_to(tmp_path / "relays.json")
    keeper.learn(folder, keeper.known(), uid)
    assert known(keeper) == {"one"}
    (tmp_path / "relays.json").write_bytes(b"{")
    assert known(keeper) == set()
