"""The benchmark's model answers as a model would, or never."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from spectra.bench import aimodel


def test_it_answers() -> None:
    """The last message, or a summary where JSON is asked for; and it ends with the block."""
    asked: dict[str, object] = {"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "héllo"}]}
    with aimodel.answering("well") as url, httpx.Client(trust_env=False) as client:
        client.post(f"{url}/chat/completions", json=asked).raise_for_status()
        answer = client.post(f"{url}/chat/completions", json=asked).json()
        assert answer["choices"][0]["message"]["content"] == "héllo"
        answer = client.post(f"{url}/chat/completions", json=asked | {"response_format": {}}).json()
        assert msgspec.json.decode(answer["choices"][0]["message"]["content"])["risks"] == []
    with pytest.raises(httpx.TransportError):
        httpx.post(f"{url}/chat/completions", json=asked, trust_env=False)


def test_it_says_nothing() -> None:
    """It takes the request, and whoever asks waits."""
    with aimodel.answering("silent") as url, pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/chat/completions", json={"messages": []}, trust_env=False, timeout=0.1)
