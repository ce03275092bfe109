"""One dashboard for all tests of the web room, on a node of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spectra.web import install
from tests.api.conftest import embedded, node
from tests.api.node import Node, serving
from tests.web.site import Site

__all__ = ["embedded", "node"]


@pytest.fixture(scope="package")
def site(node: Node) -> Iterator[Site]:
    """The dashboard of that node."""
    with serving(node.services, extend=install.install) as url:
        yield Site(Node(url, node.services, node.accounts))
