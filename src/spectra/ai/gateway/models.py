"""Models of pydantic-ai for the six providers, over our transports. Imported when a model is first asked."""

from __future__ import annotations

from typing import Any, Final

import httpx2
from pydantic_ai.models import Model
from pydantic_ai.profiles.openai import OpenAIModelProfile

from spectra.ai.gateway.egress import Egress
from spectra.ai.gateway.network import away_transport, machine_transport
from spectra.ai.gateway.providers import Provider, need
from spectra.ai.gateway.wire import Guarded

_CONNECT_S: Final = 10.0
_COMPATIBLE: Final = OpenAIModelProfile(
    supports_json_schema_output=True,
    supports_json_object_output=True,
    openai_chat_supports_max_completion_tokens=False,
)
"""What any server that speaks OpenAI's protocol is taken to do."""


class Line:
    """What is open to one provider: a client over a guarded transport, and the model that is asked through it."""

    def __init__(self, provider: Provider, egress: Egress, machine_networks: list[str]) -> None:
        need(provider.name)
        self.key = provider.key()
        inner = away_transport(egress) if provider.away else machine_transport(machine_networks)
        self.client = httpx2.AsyncClient(
            transport=Guarded(inner, provider.url, key=bool(self.key)),
            timeout=httpx2.Timeout(provider.settings.timeout_s, connect=min(_CONNECT_S, provider.settings.timeout_s)),
            trust_env=False,
            follow_redirects=False,
        )
        self.model: Model[Any] = _MODELS[provider.name](provider, self.key or "none", self.client)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()


def _compatible(provider: Provider, key: str, client: httpx2.AsyncClient) -> Model[Any]:
    """LocalAI, Ollama, llama.cpp and others; xAI."""
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    sdk = AsyncOpenAI(base_url=provider.url, api_key=key, http_client=client, max_retries=0)
    spoken = OpenAICompatibleProvider(provider.name, openai_client=sdk, profile=_COMPATIBLE)
    return OpenAIChatModel(provider.model, provider=spoken)


def _openai(provider: Provider, key: str, client: httpx2.AsyncClient) -> Model[Any]:
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    sdk = AsyncOpenAI(base_url=provider.url, api_key=key, http_client=client, max_retries=0)
    return OpenAIChatModel(provider.model, provider=OpenAIProvider(openai_client=sdk))


def _mistral(provider: Provider, key: str, client: httpx2.AsyncClient) -> Model[Any]:
    from pydantic_ai.models.mistral import MistralModel
    from pydantic_ai.providers.mistral import MistralProvider

    url = provider.url.removesuffix("/v1")
    return MistralModel(provider.model, provider=MistralProvider(api_key=key, base_url=url, http_client=client))


def _claude(provider: Provider, key: str, client: httpx2.AsyncClient) -> Model[Any]:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    url = provider.url.removesuffix("/v1")
    sdk = AsyncAnthropic(base_url=url, api_key=key, http_client=client, max_retries=0)
    return AnthropicModel(provider.model, provider=AnthropicProvider(anthropic_client=sdk))


def _gemini(provider: Provider, key: str, client: httpx2.AsyncClient) -> Model[Any]:
    from google.genai.types import HttpRetryOptions
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    once = HttpRetryOptions(attempts=1)
    url = provider.url.removesuffix("/v1beta")
    spoken = GoogleProvider(api_key=key, base_url=url, http_client=client, retry_options=once)
    return GoogleModel(provider.model, provider=spoken)


_MODELS: Final = {
    "local": _compatible,
    "mistral": _mistral,
    "claude": _claude,
    "openai": _openai,
    "gemini": _gemini,
    "xai": _compatible,
}
