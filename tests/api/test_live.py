"""What happens, told to one client for as long as it stays: as it happens, never to who may not hear it, and to nobody
who does not listen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Protocol

import anyio
import pytest
from starlette.types import Message

from spectra.api import live
from spectra.api.live import Live, events, topics
from spectra.errors import Unavailable
from spectra.flow.stream import Batch, Stream, TooManyListeners
from spectra.model.activity import Activity, Progress
from spectra.store.activity import Wanted
from tests.api.node import Node
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BLOCKS = Wanted(kinds=("block.added",))
NOTHING = Wanted(topics=frozenset(("law",)), kinds=("moon",))


class Client:
    """One who was answered. It hangs up once it has heard `enough`; one that is `deaf` reads the beginning alone."""

    def __init__(self, enough: Callable[[str], bool], *, deaf: bool) -> None:
        self.messages: list[Message] = []
        self._enough = enough
        self._deaf = deaf
        self._gone = anyio.Event()

    @property
    def said(self) -> str:
        """The body, as far as it came."""
        return b"".join(message.get("body", b"") for message in self.messages).decode()

    @property
    def ended(self) -> bool:
        """Whether the answer came to its end, and was not broken off."""
        return not self.messages[-1].get("more_body", True)

    async def receive(self) -> Message:
        """Hang up, some time."""
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Hear it, or never read it."""
        if self._deaf and len(self.messages) == 2:
            await anyio.sleep_forever()
        self.messages.append(message)
        if self._enough(self.said):
            self._gone.set()


def listened(
    stream: Stream,
    enough: Callable[[str], bool] = lambda said: False,
    *,
    wanted: Wanted = BLOCKS,
    still: Callable[[], bool] = lambda: True,
    cursor: int | None = None,
    beat_s: float = live.BEAT_S,
    deaf: bool = False,
) -> Client:
    """A client, when it was answered."""

    async def answered() -> Client:
        client = Client(enough, deaf=deaf)
        answer = Live(
            stream,
            "ann",
            wanted,
            events(whole=False),
            still=still,
            cursor=cursor,
            threads=anyio.CapacityLimiter(2),
            headers={"x-more": "yes"},
            beat_s=beat_s,
        )
        with anyio.fail_after(60):
            await answer({"type": "http"}, client.receive, client.send)
        return client

    return anyio.run(answered)


class Listening(Protocol):
    """`listened`, on another thread; it listens when this returns."""

    def __call__(
        self, enough: Callable[[str], bool] = ..., /, *, wanted: Wanted = ..., beat_s: float = ...
    ) -> Future[Client]: ...


@pytest.fixture
def stream(node: Node) -> Iterator[Stream]:
    """One of the node's database, which nobody else listens to."""
    one = Stream(node.services.database, per_account=2, every_s=0.02)
    one.start()
    yield one
    assert one.listeners == 0
    one.stop()


@pytest.fixture
def listening(stream: Stream) -> Iterator[Listening]:
    """Clients, one after the other."""
    with ThreadPoolExecutor(1) as pool:

        def begin(
            enough: Callable[[str], bool] = lambda said: False,
            /,
            *,
            wanted: Wanted = BLOCKS,
            beat_s: float = live.BEAT_S,
        ) -> Future[Client]:
            future = pool.submit(listened, stream, enough, wanted=wanted, beat_s=beat_s)
            eventually(lambda: stream.listeners == 1 or future.done())
            return future

        yield begin


def block(node: Node, last: int) -> int:
    """Something that happens; its cursor."""
    answer = node.ask("POST", "/v0/blocks", json={"network": f"198.51.100.{last}/32", "reason": "noise"})
    assert answer.status_code == 201, answer.text
    return node.get("/v0/activity", kinds="block.added", limit=1).json()["activity"][0]["cursor"]


def test_words() -> None:
    """Each thing is an event of its name; what entries say in full only for those who may read that. A page hears the
    topics alone, with the number of the last entry.
    """
    one = Activity(7, NOW, "block.added", "law", "a block", "b1", detail={"reason": "noise"})
    batch = Batch((one,), (Progress("job-1", "running", 9, 1, 0, 8, 0, 2),), frozenset({"alert"}))
    told = events(whole=True)(batch).decode()
    assert told.startswith('id: 7\nevent: activity\ndata: {"cursor":7,')
    assert [line for line in told.split("\n") if line.startswith("event")] == [
        "event: activity",
        "event: progress",
        "event: changed",
    ]
    assert '"reason":"noise"' in told
    assert told.endswith('data: {"topic":"alert"}\n\n')
    assert "noise" not in events(whole=False)(batch).decode()
    assert topics(batch) == b"id: 7\ndata: alert\n\nid: 7\ndata: job\n\nid: 7\ndata: law\n\n"
    assert topics(Batch(changed=frozenset({"alert"}))) == b"data: alert\n\n"
    assert events(whole=True)(Batch()) == topics(Batch()) == b""


def test_what_happens_is_told_with_its_number(node: Node, stream: Stream, listening: Listening) -> None:
    """First where the client stands, then each thing as it happens; with the fields of such an answer."""
    begin = stream.newest()
    future = listening(lambda said: "event: activity" in said)
    cursor = block(node, 41)
    client = future.result(60)
    assert client.said.startswith("retry: 3000\nid: ")
    assert f"\nid: {cursor}\nevent: activity\ndata: " in client.said
    assert "detail" not in client.said
    fields = dict(client.messages[0]["headers"])
    assert fields[b"content-type"].startswith(b"text/event-stream")
    assert (fields[b"cache-control"], fields[b"x-more"]) == (b"no-store", b"yes")
    again = listened(stream, lambda said: "event: activity" in said, cursor=begin)
    assert f"\nid: {cursor}\nevent: activity\n" in again.said, "it goes on from a cursor"


def test_where_nothing_happens_something_is_said(node: Node, listening: Listening) -> None:
    """And where what happens is nothing that was asked for, from where it would go on."""
    future = listening(lambda said: said.count(": \n\n") > 2 and said.count("id: ") > 1, wanted=NOTHING, beat_s=0.02)
    block(node, 42)
    assert "event: " not in future.result(60).said


@pytest.mark.parametrize("may", [False, None])
def test_who_may_listen_no_longer_is_let_go(stream: Stream, monkeypatch: pytest.MonkeyPatch, may: bool | None) -> None:
    """The answer ends, also where that cannot be looked at: the client comes back and is told why."""
    monkeypatch.setattr(live, "CHECK_S", 0.0)
    asked: list[int] = []

    def still() -> bool:
        asked.append(1)
        if may is None:
            raise Unavailable("The database is away.")
        return len(asked) < 3

    client = listened(stream, wanted=NOTHING, still=still, beat_s=0.02)
    assert client.ended
    assert len(asked) == (1 if may is None else 3)


def test_who_reads_nothing_is_let_go(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is closed, without an end of the answer."""
    monkeypatch.setattr(live, "_SEND_S", 0.05)
    client = listened(stream, wanted=NOTHING, beat_s=0.02, deaf=True)
    assert not client.ended
    assert len(client.messages) == 2


def test_one_answer_does_not_last_for_ever(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is broken off; clients come back by themselves."""
    monkeypatch.setattr(live, "WITHIN_S", 0.1)
    client = listened(stream, wanted=NOTHING)
    assert not client.ended
    assert client.said.startswith("retry: 3000\n")


def test_a_node_that_ends_ends_its_answers(stream: Stream, listening: Listening) -> None:
    """Whoever asks then is refused, before anything is said."""
    future = listening(wanted=NOTHING)
    stream.hang_up()
    assert future.result(60).ended
    with pytest.raises(TooManyListeners):
        listened(stream)
