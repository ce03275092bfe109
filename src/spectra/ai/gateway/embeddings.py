"""Vectors of a provider: `/v1/embeddings` as OpenAI defined it, and Gemini's own. Imported when first needed."""

from __future__ import annotations

from math import isfinite
from typing import Final

import httpx2
import msgspec

from spectra.ai.gateway.failures import Failed
from spectra.ai.gateway.outgoing import Outgoing
from spectra.ai.gateway.providers import Provider
from spectra.model.ai import Usage, Vectors

_MAX_DIMS: Final = 16_384


class _Item(msgspec.Struct):
    index: int
    embedding: list[float]


class _Used(msgspec.Struct):
    prompt_tokens: int = 0


class _OpenAi(msgspec.Struct):
    data: list[_Item]
    usage: _Used | None = None


class _Values(msgspec.Struct):
    values: list[float]


class _Gemini(msgspec.Struct):
    embeddings: list[_Values]


async def vectors(client: httpx2.AsyncClient, provider: Provider, key: str, outgoing: Outgoing) -> Vectors:
    """A vector for each text of `outgoing`. Raises what `failures.failed` knows."""
    model = provider.settings.embedding_model
    gemini = provider.name == "gemini"
    url, body = _gemini(provider, model, outgoing) if gemini else _openai(provider, model, outgoing)
    headers = {"x-goog-api-key": key} if gemini else {"authorization": f"Bearer {key}"}
    response = await client.post(url, content=msgspec.json.encode(body), headers=headers | _JSON)
    _judged(response)
    try:
        found, used = _read_gemini(response.content) if gemini else _read_openai(response.content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Failed("answered what are no vectors") from error
    sizes = {len(vector) for vector in found}
    if len(found) != len(outgoing.texts) or len(sizes) != 1 or not 0 < min(sizes) <= _MAX_DIMS:
        raise Failed("did not answer with a vector for each text")
    if not all(isfinite(number) for vector in found for number in vector):
        raise Failed("answered with numbers that are none")
    return Vectors(tuple(map(tuple, found)), provider.name, model, Usage(input=used))


_JSON: Final = {"content-type": "application/json"}


def _openai(provider: Provider, model: str, outgoing: Outgoing) -> tuple[str, object]:
    base = provider.url if provider.name != "mistral" else provider.url.removesuffix("/v1") + "/v1"
    return f"{base}/embeddings", {"model": model, "input": outgoing.texts, "encoding_format": "float"}


def _gemini(provider: Provider, model: str, outgoing: Outgoing) -> tuple[str, object]:
    asked = [{"model": f"models/{model}", "content": {"parts": [{"text": text}]}} for text in outgoing.texts]
    base = provider.url.removesuffix("/v1beta")
    return f"{base}/v1beta/models/{model}:batchEmbedContents", {"requests": asked}


def _read_openai(body: bytes) -> tuple[list[list[float]], int]:
    answer = msgspec.json.decode(body, type=_OpenAi)
    answer.data.sort(key=lambda item: item.index)
    return [item.embedding for item in answer.data], answer.usage.prompt_tokens if answer.usage else 0


def _read_gemini(body: bytes) -> tuple[list[list[float]], int]:
    return [one.values for one in msgspec.json.decode(body, type=_Gemini).embeddings], 0


def _judged(response: httpx2.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    if status == 429:
        after = response.headers.get("retry-after", "")
        raise Failed("asks to be spared (429)", "passing", float(after) if after.isdecimal() else 30.0)
    if status in {401, 403}:
        raise Failed(f"refuses its key ({status})", "setup", 300.0)
    if status == 404:
        raise Failed("does not know its model (404)", "setup", 60.0)
    raise Failed(f"refuses the request ({status})", "refused") if status < 500 else Failed(f"answered {status}")
