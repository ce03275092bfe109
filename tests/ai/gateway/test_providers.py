"""The six providers, as configured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spectra.ai.gateway import providers
from spectra.ai.gateway.providers import MAKERS, Maker, Provider, key_of, missing, need, providers_of
from spectra.errors import SetupError
from spectra.model.ai import Label, Usage
from spectra.settings.ai import NAMES, AiSettings, ProviderSettings


def of(name: str, **settings: object) -> Provider:
    """A provider."""
    return Provider(name, ProviderSettings.model_validate({"opt_in": True, "api_key": "k"} | settings))


def test_all_six_in_the_configured_order() -> None:
    """Each has a place of its own and a model, but the local one, which is nowhere until it is configured."""
    assert [one.name for one in providers_of(AiSettings())] == list(NAMES)
    assert [one.name for one in providers_of(AiSettings(order=["xai", "local"]))] == ["xai", "local"]
    assert set(MAKERS) == set(NAMES)
    assert [name for name, maker in MAKERS.items() if not maker.url] == ["local"]
    assert all(maker.url.startswith("https://") and maker.model for name, maker in MAKERS.items() if name != "local")


def test_why_one_is_off() -> None:
    """Not opted in, nowhere, without a key, or without its library; in this order."""
    assert of("mistral", opt_in=False).off() == "not opted in"
    assert of("local").off() == "ai.local.url says nowhere"
    assert of("local", url="http://127.0.0.1:1", api_key=None).off() == ""
    assert of("openai", api_key=None).off() == "ai.openai has no key"
    assert of("openai").off() == ""


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install, in the state and in the error."""
    gone = Maker("https://x", "m", "mistral", "no_such_library.of_anybody")
    monkeypatch.setitem(providers.MAKERS, "mistral", gone)  # pyright: ignore[reportArgumentType]
    assert missing("mistral") == of("mistral").off() == "install spectra-mesh[mistral]"
    with pytest.raises(SetupError, match=r"pip install 'spectra-mesh\[mistral\]'"):
        need("mistral")
    need("local")


def test_where_it_is() -> None:
    """An origin alone is that of a server whose API is under /v1; a path that is written is meant."""
    assert of("local", url="http://127.0.0.1:11434").url == "http://127.0.0.1:11434/v1"
    assert of("local", url="http://127.0.0.1:80/api/v1/").url == "http://127.0.0.1:80/api/v1"
    assert of("claude", url="https://proxy.example").url == "https://proxy.example"
    assert of("openai").url == "https://api.openai.com/v1"


def test_classes_names_and_costs() -> None:
    """What it takes follows from where it works; prices are those of a million tokens."""
    eu = of("mistral", residency="eu", model="big", price_in=2.0, price_out=6.0, tokens_per_day=9, cost_per_day=1.0)
    assert (eu.takes, eu.away, of("local", residency="machine").away) == (Label.SANITIZED, True, False)
    assert all(eu.named(name) for name in ("", "mistral", "big", "mistral/big"))
    assert not eu.named("gpt")
    assert eu.cost(Usage(1_000_000, 500_000)) == 5.0
    assert eu.limit == (9, 1.0)
    assert eu.guess(3000, 50) == Usage(1016, 50)
    assert eu.guess(0, None).output > 500
    assert (of("claude", embedding_model="x").embeds, of("xai", embedding_model="x").embeds) == (False, True)


def test_keys_are_in_files_that_nobody_else_may_read(tmp_path: Path) -> None:
    """A file of mode 0600 with the key alone; whatever else is an error that does not tell what is in it."""
    path = tmp_path / "key"
    path.write_text("sk-secret\n")
    path.chmod(0o644)
    with pytest.raises(SetupError, match="Others may read"):
        key_of(path)
    path.chmod(0o600)
    assert key_of(path) == "sk-secret"
    assert of("openai", api_key=None, api_key_file=path).key() == "sk-secret"
    for bad in ("", "two words", "a\nb", "schlüssel", "x" * 9000):
        path.write_text(bad)
        with pytest.raises(SetupError) as caught:
            key_of(path)
        assert not bad or bad not in str(caught.value)
    with pytest.raises(SetupError, match="cannot be read"):
        key_of(tmp_path / "none")


def test_its_breaker() -> None:
    """Spared for as long as it asked; good again once it answered."""
    one = of("openai")
    assert (one.allow(), one.spared()) == (True, (0.0, ""))
    one.bad("asks to be spared (429)", 50.0)
    left, why = one.spared()
    assert (40 < left <= 50, why, one.allow()) == (True, "asks to be spared (429)", False)
    one.good()
    one.unknown()
    assert one.allow()


def test_nothing_heavy_is_imported() -> None:
    """The gateway's names can be imported without the libraries that it asks models with."""
    code = "import sys, spectra.ai.gateway.gateway; print([m for m in ('pydantic_ai', 'openai') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=120)
    assert done.stdout.strip() == b"[]"
