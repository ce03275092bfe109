"""The six providers as configured: their model, key, bounds and breaker. Nothing heavy is imported here."""

from __future__ import annotations

import os
import stat
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from spectra.ai.gateway.breaker import Breaker
from spectra.ai.gateway.policy import TAKES
from spectra.errors import SetupError
from spectra.model.ai import Label, Usage
from spectra.settings.ai import AiSettings, ProviderSettings
from spectra.store.aibudgets import Limit

_MAX_KEY: Final = 8192  # bytes of a key's file
_GUESSED_OUTPUT: Final = 1024  # tokens that an answer may take, where nobody bounds it
_CHARACTERS_PER_TOKEN: Final = 3  # of English text it is 4, of addresses and code fewer


class Maker(NamedTuple):
    """Where a provider is by itself, a small model of it, and the extra and module that its library comes with."""

    url: str
    model: str
    extra: str = ""
    module: str = ""


MAKERS: Final = {
    "local": Maker("", "default"),
    "mistral": Maker("https://api.mistral.ai", "mistral-small-latest", "mistral", "mistralai"),
    "claude": Maker("https://api.anthropic.com", "claude-haiku-4-5", "claude", "anthropic"),
    "openai": Maker("https://api.openai.com/v1", "gpt-5-mini"),
    "gemini": Maker("https://generativelanguage.googleapis.com", "gemini-2.5-flash", "gemini", "google.genai"),
    "xai": Maker("https://api.x.ai/v1", "grok-4-fast-non-reasoning"),
}


class Provider:
    """One of them. Thread-safe."""

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        self.name = name
        self.settings = settings
        self.url = _based(settings.url, name) or MAKERS[name].url
        self.model = settings.model or MAKERS[name].model
        self.plain_json = False
        """Whether it was found to take no JSON schema: it is asked for JSON in words then."""
        self._breaker = Breaker()
        self._lock = threading.Lock()

    @property
    def takes(self) -> Label:
        """The most private class that may go there."""
        return TAKES[self.settings.residency]

    @property
    def away(self) -> bool:
        """Whether what it is asked leaves this machine."""
        return self.settings.residency != "machine"

    @property
    def embeds(self) -> bool:
        """Whether it makes vectors."""
        return bool(self.settings.embedding_model) and self.name != "claude"

    @property
    def limit(self) -> Limit:
        """Its budget of a day."""
        return Limit(self.settings.tokens_per_day, self.settings.cost_per_day)

    def off(self) -> str:
        """Why it is not asked at all as it is configured, or ""."""
        if not self.settings.opt_in:
            return "not opted in"
        if not self.url:
            return f"ai.{self.name}.url says nowhere"
        if self.name != "local" and not (self.settings.api_key or self.settings.api_key_file):
            return f"ai.{self.name} has no key"
        return missing(self.name)

    def key(self) -> str:
        """Its key, "" for none; raises `SetupError` for a file that cannot be used."""
        if self.settings.api_key is not None:
            return self.settings.api_key.get_secret_value()
        return "" if self.settings.api_key_file is None else key_of(self.settings.api_key_file)

    def named(self, model: str) -> bool:
        """Whether somebody who asks for `model` means this one."""
        return not model or model in {self.name, self.model, f"{self.name}/{self.model}"}

    def cost(self, usage: Usage) -> float:
        """What tokens cost, in the currency of its prices."""
        return (usage.input * self.settings.price_in + usage.output * self.settings.price_out) / 1e6

    def guess(self, characters: int, max_tokens: int | None) -> Usage:
        """What a request may take at most, about."""
        return Usage(characters // _CHARACTERS_PER_TOKEN + 16, max_tokens or _GUESSED_OUTPUT)

    def allow(self) -> bool:
        """Whether its breaker lets a request through; that has to be told of by `good`, `bad` or `unknown` then."""
        with self._lock:
            return self._breaker.allow(time.monotonic())

    def good(self) -> None:
        """It answered."""
        with self._lock:
            self._breaker.good()

    def bad(self, why: str, wait_s: float | None = None) -> None:
        """It failed."""
        with self._lock:
            self._breaker.bad(time.monotonic(), why, wait_s)

    def unknown(self) -> None:
        """Nothing was learnt of it."""
        with self._lock:
            self._breaker.unknown()

    def spared(self) -> tuple[float, str]:
        """For how many seconds it is spared from now on, and why; (0, "") where it is not."""
        with self._lock:
            left = self._breaker.until - time.monotonic()
            return (left, self._breaker.why) if left > 0 else (0.0, "")


def _based(url: str, name: str) -> str:
    """A configured URL; servers of OpenAI's protocol have it under `/v1`, also where only their origin is written."""
    bare = url and name in {"local", "openai", "xai"} and not urlsplit(url).path
    return f"{url}/v1" if bare else url


def providers_of(settings: AiSettings) -> tuple[Provider, ...]:
    """Those of a configuration, in their order."""
    return tuple(Provider(name, settings.provider(name)) for name in settings.order)


def missing(name: str) -> str:
    """What has to be installed to ask a provider, or ""."""
    maker = MAKERS[name]
    try:
        found = not maker.module or find_spec(maker.module) is not None
    except ModuleNotFoundError:
        found = False
    return "" if found else f"install spectra-mesh[{maker.extra}]"


def need(name: str) -> None:
    """Raise `SetupError` where a provider's library is not installed, naming the extra that brings it."""
    if missing(name):
        extra = MAKERS[name].extra
        raise SetupError(
            f"The library of {name} is not installed.", hint=f"Install it: pip install 'spectra-mesh[{extra}]'."
        )


def key_of(path: Path) -> str:
    """The key in a file that nobody else may read; raises `SetupError`."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(_MAX_KEY + 1)
    except OSError as error:
        raise SetupError(f"The key file {path} cannot be read: {error.strerror}.") from error
    if stat.S_IMODE(mode) & 0o077:
        raise SetupError(f"Others may read the key file {path}.", hint=f"chmod 600 {path}")
    try:
        key = raw.decode("ascii").strip()
    except UnicodeDecodeError:
        key = ""
    if not key or len(raw) > _MAX_KEY or any(not c.isprintable() or c.isspace() for c in key):
        raise SetupError(f"The file {path} does not hold a key alone.")
    return key
