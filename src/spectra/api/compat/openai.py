"""OpenAI's API as this node speaks it, so that any tool that can be pointed at it gets the same protection.

https://platform.openai.com/docs/api-reference: chat completions, embeddings and models. The API key is a token of
Spectra. What a tool sends is free text: without `ai.free_text = detected` it never leaves this machine.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from spectra.api.answers import answer, describe, described, ref
from spectra.api.auth import ServicesDep, caller_of, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.compat.chatanswers import (
    ChatCompletion,
    Chunks,
    EmbeddingList,
    Failure,
    ModelList,
    ModelRow,
    completion,
    embeddings,
)
from spectra.api.compat.chatrequests import ANY, ChatRequest, EmbeddingRequest, model_of, prompt_of, texts_of
from spectra.api.compat.eventstream import EventStream
from spectra.api.routes.ai import gateway_of
from spectra.api.services import Services
from spectra.errors import BadRequest, NotFound
from spectra.model.ai import Delta

router = APIRouter(tags=["compat"])

PREFIX: Final = "/v1/"
"""Paths whose errors are told in OpenAI's shape."""
MAX_BYTES: Final = 4 * 1024 * 1024
_GRACE_S: Final = 10.0
"""How much longer than a model a client may take to read what it said."""


def _described(kind: type, *others: int) -> dict[int | str, dict[str, Any]]:
    describe(Failure)
    documents = described(kind, 400, 401, 403, 429, 507, *others)
    for status in documents:
        if status != 200:
            documents[status] = {
                "description": "Error",
                "content": {"application/json": {"schema": {"$ref": ref(Failure)}}},
            }
    return documents


@router.post(
    "/v1/chat/completions",
    summary="Ask a model, as OpenAI's clients do",
    dependencies=[scope("ai:ask")],
    responses=_described(ChatCompletion, 404, 408, 413, 422),
    openapi_extra=described_body(ChatRequest),
    response_class=Response,
)
def chat(
    request: Request, services: ServicesDep, asked: Annotated[ChatRequest, json_body(ChatRequest, MAX_BYTES)]
) -> Response:
    """Text and tools, in one piece or, with `stream`, as server-sent events. Of the providers that may see what is
    asked the first that works answers; `model` is `spectra`, or names one. Its class is in `spectra.class`.
    """
    gateway = gateway_of(services)
    prompt = prompt_of(asked, gateway.settings.free_text)
    account, within_s = caller_of(request).contributor, gateway.settings.chat_deadline_s
    created = int(services.clock().timestamp())
    if not asked.stream:
        return answer(completion(gateway.answer(prompt, account=account, deadline_s=within_s), created))
    usage = bool(asked.stream_options and asked.stream_options.include_usage)
    words = Chunks(asked.model or ANY, created, usage=usage, request_id=request.state.request_id)

    def begin() -> Any:
        return gateway.stream(prompt, account=account, deadline_s=within_s)

    return EventStream[Delta](begin, words, request.app.state.streams, within_s + _GRACE_S)


@router.post(
    "/v1/embeddings",
    summary="Vectors of texts, as OpenAI's clients ask for them",
    dependencies=[scope("ai:ask")],
    responses=_described(EmbeddingList, 404, 408, 413, 422),
    openapi_extra=described_body(EmbeddingRequest),
    response_class=Response,
)
def embed(
    request: Request, services: ServicesDep, asked: Annotated[EmbeddingRequest, json_body(EmbeddingRequest, MAX_BYTES)]
) -> Response:
    """One for each text, of the first provider that makes any and may see all of them."""
    gateway = gateway_of(services)
    found = gateway.embed(
        texts_of(asked, gateway.settings.free_text),
        account=caller_of(request).contributor,
        deadline_s=gateway.settings.chat_deadline_s,
        model=model_of(asked.model),
    )
    if asked.dimensions and any(len(vector) != asked.dimensions for vector in found.vectors):
        raise BadRequest(f"{found.model} makes vectors of another length.", field="dimensions")
    return answer(embeddings(found, packed=asked.encoding_format == "base64"))


@router.get(
    "/v1/models",
    summary="Models that may be asked for",
    dependencies=[scope("ai:ask")],
    responses=_described(ModelList),
    response_class=Response,
)
def models(services: ServicesDep) -> Response:
    """`spectra` is whichever may see what is asked and comes first; the others are those of configured providers."""
    return answer(ModelList(_models(services)))


@router.get(
    "/v1/models/{model:path}",
    summary="One of them",
    dependencies=[scope("ai:ask")],
    responses=_described(ModelRow, 404),
    response_class=Response,
)
def model(services: ServicesDep, model: Annotated[str, Path(max_length=256)]) -> Response:
    """Whose it is."""
    found = next((one for one in _models(services) if one.id == model), None)
    if found is None:
        raise NotFound("There is no such model.", reason="unknown_model", hint="`/v1/models` lists them.")
    return answer(found)


def _models(services: Services) -> list[ModelRow]:
    gateway = gateway_of(services)
    owners = {ANY: ANY}
    for state in gateway.providers():
        if state.state != "off":
            embedder = gateway.settings.provider(state.name).embedding_model
            owners |= {name: state.name for name in (state.model, embedder) if name and name not in owners}
    created = int(services.started.timestamp())
    return [ModelRow(name, created, owner) for name, owner in owners.items()]
