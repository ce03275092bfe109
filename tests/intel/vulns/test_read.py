"""One door for every feed: recognised by content, bounded, resumable, and bad records do not end it."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.vulns import VulnFeedError, open_feed
from spectra.model.envelope import Problem
from spectra.model.vulns import Epss, Kev, VulnRecord
from tests.intel.vulns.samples import cve_record, feed, nvd_cve, nvd_document, osv_record, packed
from tests.intel.vulns.test_archive import tarred, zipped
from tests.intel.vulns.test_kev import CATALOGUE, ENTRY

KINDS: dict[str, Any] = {
    "nvd": nvd_document(nvd_cve()),
    "cve": cve_record(),
    "overrides": {"_annotation": {"cve_id": "CVE-2024-0001"}, "cve": {"configurations": []}},
    "kev": {**CATALOGUE, "vulnerabilities": [ENTRY]},
    "epss": {"data": [{"cve": "CVE-2024-0001", "epss": 0.5}]},
    "osv": osv_record(),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("indent", [None, 2])
def test_the_content_says_what_it_is(tmp_path: Path, kind: str, indent: int | None) -> None:
    """Whatever the file is called, however it is laid out and packed."""
    data = json.dumps(KINDS[kind], indent=indent).encode()
    forms = [
        data,
        b"\xef\xbb\xbf" + data,
        gzip.compress(data, mtime=0),
        zstandard.compress(data),
        gzip.compress(zstandard.compress(data), mtime=0),
    ]
    forms += [zipped({"x.json": data}), tarred({"x.json": data}), gzip.compress(tarred({"x.json": data}), mtime=0)]
    for form in forms:
        path = tmp_path / "file.bin"
        path.write_bytes(form)
        with open_feed(path) as read:
            assert read.kind == kind
            (item,) = read
            assert not isinstance(item, Problem)


def test_an_answer_of_the_api_says_how_many_there_are() -> None:
    """Its time too; what stands behind the records is known at the end."""
    with feed(packed(nvd_document(nvd_cve(), totalResults=300_000))) as read:
        assert (read.total, read.version) == (300_000, "2.0")
        assert read.built is not None
    with feed(packed({"vulnerabilities": [{"cve": nvd_cve()}], "totalResults": 7})) as read:
        assert read.total is None
        assert len(list(read)) == 1
        assert read.total == 7


def test_an_empty_page_is_a_feed_of_nothing() -> None:
    """As the API answers where nothing has changed."""
    with feed(packed(nvd_document())) as read:
        assert (read.kind, read.total, list(read)) == ("nvd", 0, [])


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (b"", "feed_corrupt", "empty"),
        (b" \n\n ", "feed_corrupt", "empty"),
        (gzip.compress(b"", mtime=0), "feed_corrupt", "empty"),
        (b"<!DOCTYPE html><html>404</html>", "feed_corrupt", "web page"),
        (b'\n<?xml version="1.0"?><Error/>', "feed_corrupt", "web page"),
        (b'{"message": "API rate limit exceeded"}', "feed_unknown", "no feed of a known format"),
        (b"[]", "feed_unknown", "no feed of a known format"),
        (b"[1, 2, 3]", "feed_unknown", "no feed of a known format"),
        (b"ip,port\n192.0.2.1,22\n", "feed_unknown", "no feed of a known format"),
        (b"\x00\x01\x02\x03", "feed_unknown", "no feed of a known format"),
        (packed({"CVE_Items": [{"cve": {"CVE_data_meta": {"ID": "CVE-2020-0001"}}}]}), "feed_unknown", "JSON 1.1"),
        (packed(nvd_document(nvd_cve()))[:300], "feed_malformed", "ends too early"),
        (packed(nvd_cve())[:300], "feed_corrupt", "middle of its first record"),
        (gzip.compress(packed(nvd_cve()), mtime=0)[:60], "feed_corrupt", "ends too early"),
        (zipped({"README.md": b"text"}), "feed_unknown", "no file of records"),
    ],
)
def test_what_is_no_feed_is_refused_at_once(data: bytes, reason: str, words: str) -> None:
    """With a reason for programs and a sentence for people."""
    with pytest.raises(VulnFeedError, match=words) as caught:
        feed(data)
    assert caught.value.reason == reason


def test_a_real_error_page_is_told_for_what_it_is(shared_data: Path) -> None:
    """A mirror's job saved it under the name of a feed."""
    with pytest.raises(VulnFeedError, match="web page"):
        open_feed(shared_data / "nvd" / "quirks" / "html_error_page_named_nvdcve-1.1-modified.json.gz")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """In the system's words."""
    with pytest.raises(VulnFeedError, match="No such file") as caught:
        open_feed(tmp_path / "none.json")
    assert caught.value.reason == "feed_unreadable"


@pytest.mark.parametrize("form", ["lines", "document", "gzip"])
def test_what_is_cut_short_gives_what_came_before_and_then_tells(form: str) -> None:
    """Never taken for the whole."""
    cves = [nvd_cve(f"CVE-2024-{n:04}", descriptions=[{"lang": "en", "value": str(n) * 300}]) for n in range(40)]
    lines = b"\n".join(packed(cve) for cve in cves)
    data = {"lines": lines, "document": packed(nvd_document(*cves)), "gzip": gzip.compress(lines, mtime=0)}[form]
    got: list[object] = []
    with pytest.raises(VulnFeedError):
        got.extend(feed(data[: int(len(data) * 0.8)]))
    assert 10 < len(got) < 40
    assert all(isinstance(item, VulnRecord) for item in got)


def test_bad_records_are_reported_and_reading_goes_on() -> None:
    """Broken JSON, wrong types, no CVE, too deep: each with its line, in lines and in a document."""
    bad = [
        b'{"id": "CVE-2024-0001", broken',
        b"7",
        b'{"id": 7}',
        b'{"id": "x", "other": ' + b"[" * 9999 + b"]" * 9999 + b"}",
    ]
    good = packed(nvd_cve())
    items = list(feed(b"\n".join([good, *bad, good]) + b"\n"))
    assert [item.line if isinstance(item, Problem) else 0 for item in items] == [0, 2, 3, 4, 5, 0]
    assert isinstance(items[4], Problem)
    assert items[4].message == "the record is nested too deep"
    document = (
        b'{"vulnerabilities": [\n' + b",\n".join(b'{"cve": ' + one + b"}" for one in (good, *bad[1:], good)) + b"]}"
    )
    items = list(feed(document))
    assert [item.line if isinstance(item, Problem) else 0 for item in items] == [0, 3, 4, 5, 0]


def test_the_first_record_may_be_bad() -> None:
    """The next one says what feed it is."""
    items = list(feed(b'{"broken\n' + packed(nvd_cve()) + b"\n"))
    assert [type(item) for item in items] == [Problem, VulnRecord]


@given(st.integers(0, 12), st.sampled_from(["lines", "document", "zip"]))
def test_reading_is_taken_up_where_it_was_left(skip: int, form: str) -> None:
    """Problems count, so that the number of items taken is all that a checkpoint needs."""
    cves = [packed(nvd_cve(f"CVE-2024-{n:04}")) if n % 3 else b'{"id": "none"}' for n in range(10)]
    data = {
        "lines": b"\n".join(cves) + b"\n",
        "document": b'{"vulnerabilities": [' + b",".join(b'{"cve": ' + cve + b"}" for cve in cves) + b"]}",
        "zip": zipped({f"{n}.json": cve for n, cve in enumerate(cves)}),
    }[form]
    assert list(feed(data).items(skip)) == list(feed(data))[skip:]


def test_archives_of_single_records_are_read() -> None:
    """As the CVE list is published: what is no record is passed over, a bad one is a problem with its name."""
    pretty = json.dumps(cve_record("CVE-2024-0002"), indent=4).encode()
    files = {
        "cves/delta.json": b'{"new": []}',
        "cves/recent_activities.json": b"[]",
        "cves/2024/0xxx/CVE-2024-0001.json": packed(cve_record()),
        "cves/2024/0xxx/CVE-2024-0002.json": pretty,
        "cves/2024/0xxx/CVE-2024-0003.json": pretty[:300],
        "cves/2024/0xxx/CVE-2024-0004.json": packed(cve_record("CVE-2024-0004")),
        "README.md": b"text",
    }
    for data in (zipped(files), zipped(files, to_pipe=True), gzip.compress(tarred(files), mtime=0)):
        with feed(data) as read:
            assert read.kind == "cve"
            first, second, problem, last = read
        assert isinstance(problem, Problem)
        assert "CVE-2024-0003.json" in problem.message
        assert [item.cve for item in (first, second, last) if isinstance(item, VulnRecord)] == [
            "CVE-2024-0001",
            "CVE-2024-0002",
            "CVE-2024-0004",
        ]


def test_an_archive_may_hold_one_packed_file() -> None:
    """A table or a document that somebody packed again."""
    table = b"cve,epss,percentile\nCVE-2024-0001,0.5,0.9\n"
    for files in ({"epss.csv": table}, {"epss.csv.gz": gzip.compress(table, mtime=0)}):
        assert list(feed(zipped(files))) == [Epss("CVE-2024-0001", 0.5, 0.9)]
    with feed(zipped({"nvdcve-2.0-2024.json": packed(nvd_document(nvd_cve(), nvd_cve("CVE-2024-0002")))})) as read:
        assert len(list(read)) == 2
        assert read.total == 2


def test_a_feed_is_bounded() -> None:
    """What comes out of the packing, and of the archive."""
    data = packed(nvd_document(*[nvd_cve()] * 300))
    for form in (data, gzip.compress(data, mtime=0), zipped({"x.json": data})):
        with pytest.raises(VulnFeedError) as caught:
            list(feed(form, max_bytes=100_000))
        assert caught.value.reason == "feed_too_large"


def test_a_closed_feed_leaves_no_file_open(tmp_path: Path) -> None:
    """Nor one that was refused (warnings are errors here)."""
    path = tmp_path / "feed.json"
    path.write_bytes(packed(nvd_cve()))
    with open_feed(path) as read:
        list(islice(read, 1))
    path.write_bytes(b"<html>")
    with pytest.raises(VulnFeedError):
        open_feed(path)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"{", b"[", b'{"vulnerabilities":[', b"cve,epss\n", b"PK\x03\x04", b"\x1f\x8b\x08"]),
)
def test_garbage_is_refused_or_reported(data: bytes, start: bytes) -> None:
    """No bytes whatever raise anything else."""
    try:
        for item in feed(start + data, max_bytes=1 << 20):
            assert isinstance(item, VulnRecord | Kev | Epss | Problem)
    except VulnFeedError:
        return


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_a_turned_byte_is_refused_or_reported(kind: str, draw: st.DataObject) -> None:
    """Within a good feed of each kind."""
    data = bytearray(packed(KINDS[kind]))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        for item in feed(bytes(data)):
            assert isinstance(item, VulnRecord | Kev | Epss | Problem)
    except VulnFeedError:
        return


PEAK = """
import sys
from pathlib import Path
from spectra.intel.vulns import open_feed
with open_feed(Path(sys.argv[1])) as read:
    count = sum(1 for _ in read)
status = Path("/proc/self/status").read_text()
print(count, status.partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is told by Linux")
def test_memory_does_not_grow_with_the_feed(tmp_path: Path) -> None:
    """A document of 200 MB is read in less than 150 MB, the interpreter among them."""
    cve = packed({"cve": nvd_cve(descriptions=[{"lang": "en", "value": "x" * 9000}])})
    path = tmp_path / "feed.json.zst"
    with zstandard.open(path, "wb") as file:
        file.write(b'{"format": "NVD_CVE", "vulnerabilities": [')
        for n in range(20_000):
            file.write((b"," if n else b"") + cve)
        file.write(b"]}")
    told = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, check=True, text=True).stdout
    count, peak = (int(word) for word in told.split())
    assert count == 20_000
    assert peak < 150_000  # KiB
