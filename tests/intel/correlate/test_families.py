"""Products that are one under several names."""

from __future__ import annotations

from spectra.intel.correlate.families import families, today
from spectra.model.vulns import Product


def apps(**counts: int) -> dict[Product, int]:
    """Products `vendor__product` and how many CVEs are about each."""
    return {Product("a", *name.split("__")): n for name, n in counts.items()}


def family(counts: dict[Product, int]) -> dict[str, str]:
    """Each other name to the one that stands for it."""
    return {f"{p.vendor}:{p.product}": f"{head.vendor}:{head.product}" for p, head in families(counts).items()}


def test_what_was_sold_or_renamed_is_known() -> None:
    """The name most CVEs go by stands for the others."""
    assert family(apps(piwik__piwik=1, matomo__matomo=21)) == {"piwik:piwik": "matomo:matomo"}
    known = family(apps(sun__mysql=4, mysql__mysql=94, oracle__mysql=1111))
    assert known == {"sun:mysql": "oracle:mysql", "mysql:mysql": "oracle:mysql"}


def test_a_vendor_called_like_its_product_is_the_maker_most_cves_know() -> None:
    """What no table holds is learned from the names."""
    counts = apps(subversionx__subversionx=7, apache__subversionx=44, suse__subversionx=2)
    assert family(counts) == {"subversionx:subversionx": "apache:subversionx"}


def test_a_project_is_what_its_name_says() -> None:
    """`x_project:x` and `x:x` are one."""
    assert family(apps(grepper_project__grepper=2, grepper__grepper=9)) == {
        "grepper_project:grepper": "grepper:grepper"
    }


def test_homonyms_stay_apart() -> None:
    """Two makers with as much to their name, a short name, a client library: nothing is guessed."""
    assert family(apps(acme__gateway=10, zenith__gateway=12)) == {}
    assert family(apps(gateway__gateway=1, acme__gateway=10, zenith__gateway=12)) == {}
    assert family(apps(abc__abc=1, maker__abc=50)) == {}
    assert "redis.js:redis" not in family({Product("a", "redis.js", "redis"): 1, Product("a", "redis", "redis"): 16})


def test_libraries_for_javascript_are_one_among_themselves() -> None:
    """`handlebars.js_project:handlebars.js` and `handlebarsjs:handlebars`."""
    counts = {Product("a", "handlebars.js_project", "handlebars.js"): 3, Product("a", "handlebarsjs", "handlebars"): 5}
    assert family(counts) == {"handlebars.js_project:handlebars.js": "handlebarsjs:handlebars"}


def test_parts_are_not_mixed() -> None:
    """A device, its firmware and an application of one name are three things."""
    assert families({Product("h", "squid", "squid"): 3, Product("a", "squid-cache", "squid"): 9}) == {}


def test_old_names_are_told_by_todays() -> None:
    """What scanners still say, without any feed; what is known by one name stays."""
    assert today(Product("a", "microsoft", "iis")) == Product("a", "microsoft", "internet_information_services")
    assert today(Product("a", "igor_sysoev", "nginx")) == Product("a", "f5", "nginx")
    assert today(Product("a", "ibm", "lotus_domino")) == Product("a", "hcltech", "domino")
    assert today(Product("a", "the_kelleys", "dnsmasq")) == Product("a", "thekelleys", "dnsmasq")
    assert today(Product("a", "haxx", "libcurl")) == Product("a", "haxx", "curl")
    assert today(Product("a", "acme", "gateway")) == Product("a", "acme", "gateway")
