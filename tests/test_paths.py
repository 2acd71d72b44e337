"""Path mapping, rule by rule. Source: "Path Mapping" in the Open Job Description's "How Jobs Are Run"."""

from __future__ import annotations

import os

import pytest

from openjd_adapt import InputError, PathMappingRule
from openjd_adapt.paths import map_path, rules_from_document


def rule(kind, source, destination="/dest", system="Linux"):
    return PathMappingRule(
        source_path_format=kind, source_path=source, destination_path=destination, destination_os=system
    )


MAPPED = [
    # POSIX
    ("POSIX", "/mnt/a", "/mnt/a", "/dest"),
    ("POSIX", "/mnt/a", "/mnt/a/b c/d.exr", "/dest/b c/d.exr"),
    ("POSIX", "/mnt/a", "/mnt/a/", "/dest/"),
    ("POSIX", "/mnt/a", "/mnt/a/b/", "/dest/b/"),
    ("POSIX", "/mnt/a/", "/mnt/a", "/dest"),
    ("POSIX", "/mnt/a/", "/mnt/a/b", "/dest/b"),
    ("POSIX", "/mnt/a", "/mnt//a/./b", "/dest/b"),
    ("POSIX", "/mnt/a", "/mnt/a/../b", "/dest/../b"),
    ("POSIX", "/mnt/a", "/mnt/a/b\\c\\", "/dest/b\\c\\"),
    ("POSIX", "/", "/mnt/a", "/dest/mnt/a"),
    ("POSIX", "a/b", "a/b/c", "/dest/c"),
    ("POSIX", "/mnt/ä", "/mnt/ä/ö", "/dest/ö"),
    # Windows: case and kind of separator do not count
    ("WINDOWS", "C:\\Show", "C:\\Show\\Shot\\x.exr", "/dest/Shot/x.exr"),
    ("WINDOWS", "C:\\Show", "c:/SHOW/Shot/x.exr", "/dest/Shot/x.exr"),
    ("WINDOWS", "c:/show/", "C:\\Show", "/dest"),
    ("WINDOWS", "C:\\Show", "C:\\Show\\", "/dest/"),
    ("WINDOWS", "C:\\Show", "C:\\Show/Shot/", "/dest/Shot/"),
    ("WINDOWS", "C:\\Show", "C:\\Show\\..\\x", "/dest/../x"),
    ("WINDOWS", "C:\\", "C:\\Show", "/dest/Show"),
    ("WINDOWS", "\\\\Server\\Share", "//server/share/Shot", "/dest/Shot"),
    ("WINDOWS", "Show", "show\\Shot", "/dest/Shot"),
    ("WINDOWS", "C:", "c:Show\\x", "/dest/Show/x"),
    # URI: case does not count in scheme and authority
    ("URI", "s3://bucket/Show", "s3://bucket/Show/x.exr", "/dest/x.exr"),
    ("URI", "s3://bucket/Show", "S3://BUCKET/Show/x.exr", "/dest/x.exr"),
    ("URI", "S3://Bucket", "s3://bucket", "/dest"),
    ("URI", "s3://bucket", "s3://bucket/Show/", "/dest/Show/"),
    ("URI", "s3://bucket/", "s3://bucket/Show", "/dest/Show"),
    ("URI", "https://user@host:80/a", "https://user@HOST:80/a/b", "/dest/b"),
]


@pytest.mark.parametrize("kind, source, path, expected", MAPPED)
def test_a_path_below_the_source_is_mapped(kind, source, path, expected):
    assert rule(kind, source).apply(path=path) == (True, expected)


NOT_MAPPED = [
    # whole components only
    ("POSIX", "/mnt/a", "/mnt/ab"),
    ("POSIX", "/mnt/a", "/mnt"),
    ("POSIX", "/mnt/a", "/mnt/A/b"),
    ("WINDOWS", "C:\\Show", "C:\\Shows\\x"),
    ("WINDOWS", "C:\\Show", "D:\\Show\\x"),
    ("WINDOWS", "\\\\server\\share", "\\\\server\\share2\\x"),
    ("URI", "s3://bucket/Show", "s3://bucket/Shows/x"),
    ("URI", "s3://bucket", "s3://bucket2/x"),
    # the path of a URI counts in its case, its scheme in full
    ("URI", "s3://bucket/Show", "s3://bucket/show/x"),
    ("URI", "s3://bucket", "gs://bucket/x"),
    ("URI", "s3://bucket", "bucket/x"),
    ("URI", "s3://bucket", "s3:/bucket/x"),
    # relative and absolute never match
    ("POSIX", "/mnt/a", "mnt/a/b"),
    ("POSIX", "mnt/a", "/mnt/a/b"),
    ("POSIX", "/", "mnt"),
    ("POSIX", "/", ""),
    ("WINDOWS", "C:\\Show", "Show\\x"),
    ("WINDOWS", "C:\\Show", "C:Show\\x"),
    ("WINDOWS", "C:\\", "C:"),
    ("WINDOWS", "C:", "C:\\Show"),
    ("WINDOWS", "C:\\Show", "\\Show\\x"),
    ("WINDOWS", "Show", "C:\\Show\\x"),
    ("WINDOWS", "\\\\server\\share", "\\server\\share\\x"),
    # nothing is collapsed
    ("POSIX", "/mnt/a", "/mnt/b/../a/c"),
    # a backslash is a letter of a POSIX name
    ("POSIX", "/mnt/a", "\\mnt\\a\\b"),
    ("POSIX", "/mnt/a", "/mnt/a\\b"),
]


@pytest.mark.parametrize("kind, source, path", NOT_MAPPED)
def test_any_other_path_stays_as_it_is(kind, source, path):
    assert rule(kind, source).apply(path=path) == (False, path)


@pytest.mark.parametrize(
    "destination, system, path, expected",
    [
        ("D:\\dest", "Windows", "/mnt/a/b/c", "D:\\dest\\b\\c"),
        ("D:\\dest", "windows", "/mnt/a/b/", "D:\\dest\\b\\"),
        ("D:\\", "Windows", "/mnt/a/b", "D:\\b"),
        ("D:/dest/", "Windows", "/mnt/a/b", "D:/dest\\b"),
        ("/", "Linux", "/mnt/a/b", "/b"),
        ("/", "Linux", "/mnt/a/", "/"),
        ("/dest/", "macOS", "/mnt/a/b", "/dest/b"),
        ("relative", "Linux", "/mnt/a/b", "relative/b"),
    ],
)
def test_the_result_has_the_separators_of_the_destination(destination, system, path, expected):
    assert rule("POSIX", "/mnt/a", destination, system).apply(path=path) == (True, expected)


def test_the_result_has_this_hosts_separators_unless_the_rule_says_otherwise():
    assert rule("WINDOWS", "C:\\a", "/dest", None).apply(path="C:\\a\\b") == (True, "/dest" + os.sep + "b")


@pytest.mark.parametrize(
    "sources, path, expected",
    [
        (["/mnt", "/mnt/a"], "/mnt/a/x", "/1/x"),
        (["/mnt/a", "/mnt"], "/mnt/a/x", "/0/x"),
        (["/mnt", "/mnt/ab"], "/mnt/a/x", "/0/a/x"),
        (["/", "/mnt/"], "/mnt/x", "/1/x"),
        (["/mnt", "/mnt"], "/mnt/x", "/0/x"),
        (["/mnt/./././.", "/mnt/a"], "/mnt/a/x", "/1/x"),
        (["/other"], "/mnt/x", "/mnt/x"),
        ([], "/mnt/x", "/mnt/x"),
    ],
)
def test_the_longest_source_comes_first_whatever_the_order_of_the_rules(sources, path, expected):
    rules = [rule("POSIX", source, "/%d" % number) for number, source in enumerate(sources)]
    assert map_path(rules, path) == expected


def test_a_path_is_mapped_once_though_the_result_matches_a_rule_again():
    assert map_path([rule("POSIX", "/a", "/b"), rule("POSIX", "/b", "/c")], "/a/x") == "/b/x"


def test_rules_of_all_formats_stand_side_by_side():
    rules = [rule("POSIX", "/a", "/p"), rule("WINDOWS", "C:\\a", "/w"), rule("URI", "s3://a", "/u")]
    assert [map_path(rules, path) for path in ("/a/x", "c:/A/x", "S3://a/x")] == ["/p/x", "/w/x", "/u/x"]


RULE = {"source_path_format": "WINDOWS", "source_path": "Z:\\a", "destination_path": "/a"}


def test_a_document_gives_its_rules_in_its_order():
    document = {"version": "pathmapping-1.0", "path_mapping_rules": [RULE, {**RULE, "source_path": "Z:\\a\\b"}]}
    assert [rule.source_path for rule in rules_from_document(document)] == ["Z:\\a", "Z:\\a\\b"]


@pytest.mark.parametrize("document", [{}, {"version": "pathmapping-1.0"}, {"path_mapping_rules": []}])
def test_a_document_without_rules_has_none(document):
    assert rules_from_document(document) == []


@pytest.mark.parametrize("kind", ["posix", "Windows", "URI"])
def test_a_rule_is_what_its_object_says(kind):
    given = {"source_path_format": kind, "source_path": "/a", "destination_path": "b", "destination_os": "Windows"}
    made = PathMappingRule.from_dict(rule={**given, "unknown": 1})
    assert made.to_dict() == {**given, "source_path_format": kind.upper()}
    assert PathMappingRule.from_dict(rule=RULE).to_dict() == RULE


@pytest.mark.parametrize(
    "document, complaint",
    [
        ({"version": "pathmapping-2.0"}, "version is 'pathmapping-2.0'"),
        ({"version": None}, "version is None"),
        ({"path_mapping_rules": {}}, "must be a list"),
        ({"path_mapping_rules": None}, "must be a list"),
        ({"path_mapping_rules": [RULE, "x"]}, "must be an object, not 'x'"),
        ({"path_mapping_rules": [{}]}, "lacks source_path_format, source_path, destination_path"),
        ({"path_mapping_rules": [{**RULE, "source_path_format": "VMS"}]}, "'VMS'; known are POSIX, URI, WINDOWS"),
        ({"path_mapping_rules": [{**RULE, "source_path_format": None}]}, "known are"),
        ({"path_mapping_rules": [{**RULE, "source_path": ""}]}, "source_path must be a path, not ''"),
        ({"path_mapping_rules": [{**RULE, "destination_path": 7}]}, "destination_path must be a path, not 7"),
        ({"path_mapping_rules": [{**RULE, "destination_os": 7}]}, "destination_os"),
        ([RULE], "must be an object"),
    ],
)
def test_a_bad_document_is_refused_with_one_line_that_says_what_is_wrong(document, complaint):
    with pytest.raises(InputError) as caught:
        rules_from_document(document)
    assert str(caught.value).startswith("path mapping rule")
    assert complaint in str(caught.value) and "\n" not in str(caught.value)
