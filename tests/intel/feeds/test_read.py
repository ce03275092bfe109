"""One door for every format."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.bench.mmdb import database
from spectra.intel.feeds import FeedError, read, shrunk
from tests.intel.feeds import samples
from tests.intel.feeds.samples import table_of

FEEDS = {
    "aws": json.dumps(samples.AWS),
    "gcp": json.dumps(samples.GCP),
    "azure": json.dumps(samples.AZURE),
    "oracle": json.dumps(samples.ORACLE),
    "fastly": json.dumps(samples.FASTLY),
    "zscaler": json.dumps(samples.ZSCALER),
    "github": json.dumps(samples.GITHUB),
    "routeviews": samples.ROUTES,
    "geofeed": samples.GEOFEED,
    "asnames": '{"64500": "EXAMPLE Example, US"}',
    "countries": "cidr,country\n192.0.2.0/24,FR\n",
    "mmdb:Test-City": database({"192.0.2.0/24": {"country": {"iso_code": "FR"}}}),
}


@pytest.mark.parametrize("name", sorted(FEEDS))
def test_the_content_says_what_it_is(tmp_path: Path, name: str) -> None:
    """Whatever the file is called, plain and packed, with a byte order mark and DOS line ends where it is text."""
    given = FEEDS[name]
    data = given if isinstance(given, bytes) else given.encode()
    forms = [data, gzip.compress(data), zstandard.compress(data)]
    if isinstance(given, str):
        forms.append(b"\xef\xbb\xbf" + given.replace("\n", "\r\n").encode())
    for form in forms:
        assert table_of(tmp_path, form, "file.bin").format == name


def test_every_real_feed_is_recognised(shared_data: Path) -> None:
    """All files of clouds and networks; what each is, is checked where its reader is."""
    kinds = {read(path).kind for path in sorted((shared_data / "cloud").iterdir())}
    assert kinds == {"cloud"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "feed_corrupt"),
        (b" \n\n ", "feed_corrupt"),
        (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "feed_corrupt"),
        (b"\n\n<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "feed_corrupt"),
        (b'{"message": "rate limit exceeded"}', "feed_unknown"),
        (b"{}", "feed_unknown"),
        (b"[1, 2]", "feed_corrupt"),
        (b'{"prefixes": [', "feed_corrupt"),
        (b"Too many requests", "feed_unknown"),
        (b"# nothing but comments\n", "feed_unknown"),
        (b"\x7fELF\x02\x01\x01\x00", "feed_unknown"),
        (b"\xff\xfe\x00\x00", "feed_corrupt"),
        (b"name,email\nx,y\n", "feed_unknown"),
        (bytes(1000), "feed_unknown"),
    ],
)
def test_what_is_no_feed_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    """Error pages, answers of APIs, other files."""
    for data in (content, gzip.compress(content)):
        with pytest.raises(FeedError) as caught:
            table_of(tmp_path, data)
        assert caught.value.reason == reason


def test_a_real_error_page_under_a_feed_s_name(shared_data: Path) -> None:
    """A web page that was saved as a packed feed."""
    with pytest.raises(FeedError, match="web page"):
        read(shared_data / "nvd" / "quirks" / "html_error_page_named_nvdcve-1.1-modified.json.gz")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(FEEDS)), st.data())
def test_a_damaged_feed_is_read_or_refused(tmp_path: Path, name: str, data: st.DataObject) -> None:
    """Cut anywhere, or with any bytes put anywhere: a table or a `FeedError`, nothing else."""
    given = FEEDS[name]
    whole = given if isinstance(given, bytes) else given.encode()
    at = data.draw(st.integers(0, len(whole)))
    junk = data.draw(st.binary(max_size=6))
    rest = data.draw(st.sampled_from([whole[at:], whole[at + len(junk) :], b""]))
    with suppress(FeedError):
        assert table_of(tmp_path, whole[:at] + junk + rest).networks > 0


@pytest.mark.parametrize(
    ("old", "new", "is_shrunk"), [(100, 49, True), (100, 50, False), (0, 0, False), (5, 500, False)]
)
def test_a_feed_that_lost_half_its_networks(old: int, new: int, is_shrunk: bool) -> None:
    """Less than half of what was there is more likely a mistake than the truth."""
    assert shrunk(old, new) is is_shrunk
