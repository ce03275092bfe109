"""What banners say of the software behind them."""

from __future__ import annotations

import pytest

from spectra.model.banners import cpe, find, match, mysql, told
from spectra.model.observation import Service
from spectra.model.products import rows

ROWS = rows((r"Foo(?: $V)?(?P<update>-P\d| SP\d)?(?: \((?P<extra>\w{1,9})\))?", "Foo server", "cpe:/a:foo:foo"))


def test_cpe_uris_are_encoded() -> None:
    """Lower case, and percent-encoding for what a CPE component may not hold."""
    assert cpe("cpe:/a:x:y", "1.0~B:2") == ("cpe:/a:x:y:1.0%7eb%3a2",)
    assert cpe("cpe:/a:x:y", "") == ("cpe:/a:x:y",)
    assert cpe("cpe:/a:x:y", "8.1", "SP3") == ("cpe:/a:x:y:8.1:sp3",)
    assert cpe("cpe:/a:x:y", "", "SP3") == ("cpe:/a:x:y",)
    assert cpe("", "1") == ()


@pytest.mark.parametrize(
    ("text", "service"),
    [
        ("foo 1.2", Service("x", "Foo server", "1.2", cpe=("cpe:/a:foo:foo:1.2",))),
        ("Foo 1.2-P4 (it)", Service("x", "Foo server", "1.2-P4", "it", cpe=("cpe:/a:foo:foo:1.2:p4",))),
        ("Foo 1.2 SP3", Service("x", "Foo server", "1.2 SP3", cpe=("cpe:/a:foo:foo:1.2:sp3",))),
        ("Foo", Service("x", "Foo server", cpe=("cpe:/a:foo:foo",))),
        ("a Foo", None),
    ],
)
def test_a_row_names_product_version_update_and_extra(text: str, service: Service | None) -> None:
    """As the groups of its pattern have them."""
    assert match(ROWS, text, "x", start=True) == service


def test_rows_are_found_anywhere_unless_the_start_is_asked_for() -> None:
    """`220 mx.example ESMTP Postfix` against `nginx/1.2`."""
    found = find(ROWS, "a foo 1.2")
    assert found
    assert told(*found, "x").version == "1.2"
    assert find(ROWS, "a foo 1.2", start=True) is None


@pytest.mark.parametrize(
    ("said", "product", "version", "extra"),
    [
        ("8.0.36-0ubuntu0.22.04.1", "MySQL", "8.0.36", "0ubuntu0.22.04.1"),
        ("5.5.60-0+deb7u2", "MySQL", "5.5.60", "0+deb7u2"),
        ("5.0.24a-Debian_3.infrant1", "MySQL", "5.0.24a", "Debian_3.infrant1"),
        ("5.5.5-10.11.6-MariaDB-0+deb12u1", "MariaDB", "10.11.6", "MariaDB-0+deb12u1"),
        ("5.1.44-community-maria-log", "MariaDB", "5.1.44", "community-maria-log"),
        ("5.6.16-64.2-569.quantal-log", "Percona Server", "5.6.16", "64.2-569.quantal-log"),
        ("5.5.5-10.0.0 2.1.14-maxscale", "MariaDB MaxScale", "2.1.14", "10.0.0"),
        ("5.1.60rel13.1-log", "Percona Server", "5.1.60", "rel13.1-log"),
    ],
)
def test_versions_of_mysql_and_its_forks(said: str, product: str, version: str, extra: str) -> None:
    """Forks by their words, the upstream version, and what was appended."""
    service = mysql(said)
    assert service
    assert (service.product, service.version, service.extra) == (product, version, extra)


def test_what_is_no_version_is_no_mysql() -> None:
    """Nothing is guessed."""
    assert mysql("Host is blocked") is None
    assert mysql("") is None
