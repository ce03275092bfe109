"""`spectra bench --ai`: what the gateway adds to a request, retrieval, and summaries where a model is dead.

The gateway is asked for a provider of the EU: private values are replaced and put back, the bytes are looked at, and
every request is put in the provenance chain and in the ledger of a real database. The same server is asked directly in
turns with that.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import msgspec

from spectra.ai.explain.asking import prompt
from spectra.ai.explain.summary import Explainer
from spectra.ai.gateway.books import StoreBooks
from spectra.ai.gateway.gateway import Gateway
from spectra.ai.retrieval.collect import gather
from spectra.bench import aimodel, aiworld, feeds
from spectra.bench.aiworld import World
from spectra.bench.load import Spread, spread
from spectra.bench.saying import Say, silent
from spectra.bench.server import scratch
from spectra.errors import SpectraError
from spectra.intel.explain import explain
from spectra.model.ai import Label, Prompt
from spectra.model.summaries import AiSummary
from spectra.settings.ai import AiSettings, ProviderSettings, Residency

SERVICES: Final = 2000
_WARM: Final = 20
_SECRET: Final = b"bench" * 8
_ACCOUNT: Final = "bench"
_WAIT_S: Final = 60.0
QUESTIONS: Final = (
    "",
    "Which weaknesses are known to be exploited?",
    "Who can run code here without signing in?",
    "Is anything here open to denial of service?",
)


class Result(msgspec.Struct, kw_only=True):
    """The keys of the JSON object; times are milliseconds.

    `gateway_overhead`: what a request through the gateway took more than the one asked directly beside it;
    `context_bytes` is what each told. `retrieval`: all of finding facts. `summary`: with a model that takes requests
    and never answers (and a gateway that has not learned that); `summary_refused`: with none at its place;
    `cache_hit`: a whole summary, retrieval too, whose answer is kept.
    """

    hosts: int
    cves: int
    requests: int
    context_bytes: int
    direct_ms_p50: float
    gateway_ms_p50: float
    gateway_overhead_ms_p50: float
    gateway_overhead_ms_p95: float
    retrieval_ms_p50: float
    retrieval_ms_p95: float
    summary_ms_p50: float
    summary_ms_p95: float
    summary_refused_ms_p95: float
    cache_hit_ms_p50: float
    cache_hit_ms_p95: float


def run(
    n_services: int = SERVICES,
    *,
    folder: Path | None = None,
    requests: int = 300,
    dead: int = 10,
    say: Say | None = None,
) -> Result:
    """Measure everything with the feeds of `folder`, in a scratch database: `requests` requests of each kind, and
    `dead` summaries that wait for the whole deadline. Raises `BadRequest` where there are no feeds.
    """
    tell, files = say or silent, feeds.feeds(folder)
    with scratch() as data_dir:
        tell("starting the server")
        count = aiworld.build(data_dir, files, n_services, tell)
        with aiworld.opened(data_dir, count) as world:
            return measured(world, requests, dead, tell)


def measured(world: World, requests: int, dead: int, tell: Say) -> Result:
    """All figures of one world."""
    tell("retrieval")
    found = spread(_retrieval(world, requests))
    with aimodel.answering("well") as url:
        tell("the gateway, and the same server asked directly")
        size, direct, through, added = _gateway(world, url, requests)
        tell("summaries that are kept")
        kept = spread(_kept(world, url, max(requests // 3, 1)))
    with aimodel.answering("silent") as url:
        tell(f"{dead} summaries by a model that never answers")
        waited = spread([_summary_ms(world, number, url, "ai_deadline") for number in range(dead)])
    tell("summaries with no model at its place")
    refused = spread([_summary_ms(world, number, _nowhere(), "ai_unavailable") for number in range(dead)])
    return Result(
        hosts=world.hosts,
        cves=world.cves,
        requests=requests,
        context_bytes=size,
        direct_ms_p50=round(direct.p50, 2),
        gateway_ms_p50=round(through.p50, 2),
        gateway_overhead_ms_p50=round(added.p50, 2),
        gateway_overhead_ms_p95=round(added.p95, 2),
        retrieval_ms_p50=round(found.p50, 1),
        retrieval_ms_p95=round(found.p95, 1),
        summary_ms_p50=round(waited.p50, 1),
        summary_ms_p95=round(waited.p95, 1),
        summary_refused_ms_p95=round(refused.p95, 1),
        cache_hit_ms_p50=round(kept.p50, 1),
        cache_hit_ms_p95=round(kept.p95, 1),
    )


def _ms(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return (time.perf_counter() - began) * 1000


def _question(number: int) -> str:
    return QUESTIONS[number % len(QUESTIONS)]


def _retrieval(world: World, count: int) -> list[float]:
    """Milliseconds of finding the facts of hosts all over, with and without a question."""
    now, took = datetime.now(UTC), list[float]()
    for number in range(-min(_WARM, count), count):
        target = world.target(number * 7 % world.hosts)
        ms = _ms(lambda n=number, t=target: gather(world.sources, t, _question(n), now=now, patience_s=_WAIT_S))
        took += [ms] if number >= 0 else []
    return took


@contextmanager
def _gateway_to(world: World, url: str, residency: Residency = "eu") -> Generator[Gateway]:
    local = ProviderSettings(opt_in=True, residency=residency, url=url, model="bench")
    settings = AiSettings(local=local, free_text="detected")
    made = Gateway(settings, _SECRET, StoreBooks(world.database), lambda: datetime.now(UTC))
    try:
        yield made
    finally:
        made.close()


def _prompts(world: World, count: int) -> list[Prompt]:
    """Prompts of different hosts, without a schema: the answer is the whole of what was told."""
    now = datetime.now(UTC)
    contexts = (gather(world.sources, world.target(n), now=now, patience_s=_WAIT_S) for n in range(count))
    return [prompt(context, "", "detected")._replace(schema=None) for context in contexts]


def _gateway(world: World, url: str, count: int) -> tuple[int, Spread, Spread, Spread]:
    """The bytes of a request, and milliseconds: directly, through the gateway, and what that adds to its neighbour."""
    prompts = _prompts(world, min(world.hosts, count, 50))
    texts = [["".join(f.text for f in message.fragments) for message in one.messages] for one in prompts]
    direct, through = list[float](), list[float]()
    with _gateway_to(world, url) as gateway, httpx.Client(trust_env=False, timeout=_WAIT_S) as client:
        for number in range(-min(_WARM, count), count):
            which = number % len(prompts)
            system, user = texts[which]
            messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
            body = {"model": "bench", "messages": messages}
            plain = _ms(lambda b=body: client.post(f"{url}/chat/completions", json=b).raise_for_status())
            asked = _ms(lambda p=prompts[which]: _answered(gateway, p))
            if number >= 0:
                direct.append(plain)
                through.append(asked)
    added = [one - other for one, other in zip(through, direct, strict=True)]
    size = sum(len(text.encode()) for told in texts for text in told) // len(texts)
    return size, spread(direct), spread(through), spread(added)


def _answered(gateway: Gateway, asked: Prompt) -> None:
    """Raises `SpectraError` where what came back is not what was asked, with every private value in its place."""
    answer = gateway.answer(asked, account=_ACCOUNT, deadline_s=_WAIT_S)
    private = next(p for f in asked.messages[-1].fragments if f.effective == Label.SANITIZED for p in f.privates)
    if answer.label != Label.SANITIZED or private.value not in answer.text:
        raise SpectraError("The gateway's answer is not that of the benchmark's model.", reason="bench")


def _explainer(world: World, gateway: Gateway, url: str) -> Explainer:
    """Whose kept summaries are of the model at `url` alone."""
    return Explainer(gateway, world.sources, explain, lambda: datetime.now(UTC), models=url)


def _kept(world: World, url: str, count: int) -> list[float]:
    """Milliseconds of summaries that are given again."""
    took: list[float] = []
    with _gateway_to(world, url, "machine") as gateway:
        explainer = _explainer(world, gateway, url)
        for number in range(count):
            target, question = world.target(number % world.hosts), _question(number)
            explainer.summary(target, _ACCOUNT, question)
            told: list[AiSummary] = []
            took.append(_ms(lambda t=target, q=question, k=told: k.append(explainer.summary(t, _ACCOUNT, q))))
            if not told[0].cached:
                raise SpectraError(f"A summary was not kept: {told[0].why}", reason="bench")
    return took


def _summary_ms(world: World, number: int, url: str, reason: str) -> float:
    """One summary by a gateway that has not asked this model before."""
    told: list[AiSummary] = []
    with _gateway_to(world, url, "machine") as gateway:
        explainer = _explainer(world, gateway, url)
        target = world.target(number * 7 % world.hosts)
        took = _ms(lambda: told.append(explainer.summary(target, _ACCOUNT, QUESTIONS[1])))
    if (told[0].by, told[0].reason) != ("rules", reason):
        raise SpectraError(f"A dead model made a summary, or {told[0].reason}: {told[0].why}", reason="bench")
    return took


def _nowhere() -> str:
    """The URL of a port of loopback that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"
