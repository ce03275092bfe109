"""The OpenAPI document and the API, held against each other: requests made from the document, good and bad ones, are
sent to a real server, and what it answers has to be in the document.

The examples are the same whenever the same modules are loaded; `SPECTRA_FUZZ_EXAMPLES` asks for more of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from requests import Session
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from spectra.api.app import routed_app
from tests.api.models import asking
from tests.api.node import Node
from tests.support.llms import FaultyModel, Reply, Seen
from tests.support.llmshapes import Shape

pytestmark = [pytest.mark.engine, pytest.mark.slow]

EXAMPLES = int(os.environ.get("SPECTRA_FUZZ_EXAMPLES", "8"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]

DESCRIBED = routed_app().openapi()
document = schemathesis.openapi.from_dict(DESCRIBED)
# A parameter that nobody knows is ignored, as the web does; and the token is the session's.
document.config.generation.update(allow_extra_parameters=False, with_security_parameters=False)


class Talker(FaultyModel):
    """A model that has the same to say to everything, also to nothing."""

    def reply_to(self, seen: Seen, shape: Shape) -> Reply:
        """An object, for who asks for JSON."""
        return Reply("{}")


@pytest.fixture(scope="module")
def served(node: Node) -> Iterator[tuple[str, Session]]:
    """A server of its own with a model to ask, and a session with an admin's token."""
    with Talker() as model, asking(node, local=model.url) as fuzzed, Session() as session:
        session.trust_env = False
        session.headers["authorization"] = f"Bearer {fuzzed.of('admin').token}"
        yield fuzzed.url, session


Proof = Callable[[Any, tuple[str, Session]], None]


def every_answer_is_in_the_document(path: str, method: str) -> Proof:
    """The test of one operation."""

    @pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # schemathesis' own
    @document.include(path=path, method=method).parametrize()  # pyright: ignore[reportUntypedFunctionDecorator]
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    def proof(case: Any, served: tuple[str, Session]) -> None:
        """No 5xx; every status, content type and body is one the document names; what does not fit it is refused."""
        url, session = served
        # A stream has no end: so long it is listened to.
        timeout = 3 if path == "/v0/stream" else 30
        case.call_and_validate(base_url=url, session=session, checks=CHECKS, timeout=timeout)

    return proof


# Each has a name of its own: of tests of one name, processes that share them out run one.
TESTS = {
    "test_" + re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_"): every_answer_is_in_the_document(path, method)
    for path, methods in DESCRIBED["paths"].items()
    for method in methods
}
globals().update(TESTS)


def test_each_operation_has_its_test() -> None:
    """None hides another by its name."""
    assert len(TESTS) == sum(len(methods) for methods in DESCRIBED["paths"].values()) > 200
