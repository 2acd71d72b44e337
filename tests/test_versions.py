"""Interface versions: what is installed serves who expects it, or does not."""

from __future__ import annotations

import pytest

from openjd_adapt import SemanticVersion

pytestmark = pytest.mark.core


@pytest.mark.parametrize(
    "installed, expected, compatible",
    [
        ("1.2", "1.2", True),
        ("1.2", "1.1", True),
        ("1.1", "1.2", False),
        ("1.10", "1.9", True),
        ("2.0", "1.0", False),
        ("1.0", "2.0", False),
        ("0.1", "0.1", True),
        ("0.2", "0.1", False),
        ("0.1", "0.2", False),
    ],
)
def test_a_newer_minor_version_serves_an_older_one_but_for_those_before_1(installed, expected, compatible):
    version = SemanticVersion.parse(installed)
    assert version.has_compatibility_with(SemanticVersion.parse(expected)) is compatible


def test_versions_order_as_numbers_and_print_as_they_are_read():
    texts = ["10.0", "1.9", "1.10", "0.0"]
    assert [str(version) for version in sorted(map(SemanticVersion.parse, texts))] == ["0.0", "1.9", "1.10", "10.0"]
    assert SemanticVersion(1, 2) == SemanticVersion(major=1, minor=2) == SemanticVersion.parse("1.2")


@pytest.mark.parametrize("text", ["", "1", "1.", ".1", "1.2.3", "-1.2", "1.-2", "v1.2", "1. 2", "1,2", "1.²", "١.٢"])
def test_what_is_no_major_minor_is_refused(text):
    with pytest.raises(ValueError, match="not a version of the form Major.Minor"):
        SemanticVersion.parse(text)
