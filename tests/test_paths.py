"""Path mapping, rule by rule.

Source: "Path Mapping" in the Open Job Description's "How Jobs Are Run"; URIs: RFC 0006, "Path Type Properties and
Functions".
"""

from __future__ import annotations

import os
import pathlib

import pytest
from hypothesis import given, settings, strategies as st

from openjd_adapt import InputError, PathMappingRule
from openjd_adapt.paths import map_path, rules_from_document

from .conftest import module


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
    ("POSIX", "/mnt/a", "//mnt/a/b", "/dest/b"),
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
    ("WINDOWS", "C:\\", "c:/", "/dest/"),
    ("WINDOWS", "C:", "c:Show\\x", "/dest/Show/x"),
    ("WINDOWS", "C:", "c:", "/dest"),
    ("WINDOWS", "\\Show", "/show/x", "/dest/x"),
    ("WINDOWS", "C:\\BÜro", "c:\\bÜRO\\x", "/dest/x"),
    # nor does their number, but where it makes a server
    ("WINDOWS", "C:\\proj", "C:\\\\proj\\x", "/dest/x"),
    ("WINDOWS", "C:\\\\proj", "C:\\proj\\\\x", "/dest/x"),
    ("WINDOWS", "C:\\", "C:\\\\", "/dest/"),
    ("WINDOWS", "C:\\proj", "c://///PROJ//x", "/dest/x"),
    ("WINDOWS", "C:\\proj", "\\\\?\\C:\\\\proj\\x", "/dest/x"),
    ("WINDOWS", "\\\\server\\share", "\\\\server\\\\share\\x", "/dest/x"),
    ("WINDOWS", "\\\\server\\share\\", "\\\\SERVER\\Share", "/dest"),
    ("WINDOWS", "\\\\server\\share\\a", "\\\\SERVER\\Share\\A\\b\\", "/dest/b/"),
    ("WINDOWS", "\\\\server", "//server/share/x", "/dest/share/x"),
    # and the prefixes of long paths change nothing
    ("WINDOWS", "C:\\Show", "\\\\?\\c:\\show\\x", "/dest/x"),
    ("WINDOWS", "\\\\?\\C:\\Show", "C:\\Show\\x", "/dest/x"),
    ("WINDOWS", "\\\\?\\C:\\", "\\\\?\\C:\\Show\\", "/dest/Show/"),
    ("WINDOWS", "C:\\", "//?/C:/Show", "/dest/Show"),
    ("WINDOWS", "\\\\server\\share", "\\\\?\\UNC\\server\\share\\x", "/dest/x"),
    ("WINDOWS", "\\\\?\\unc\\server\\share", "\\\\Server\\Share\\x", "/dest/x"),
    ("WINDOWS", "\\\\?\\Volume{7}\\a", "\\\\?\\volume{7}\\a\\b", "/dest/b"),
    # URI: case does not count in scheme and authority
    ("URI", "s3://bucket/Show", "s3://bucket/Show/x.exr", "/dest/x.exr"),
    ("URI", "s3://bucket/Show", "S3://BUCKET/Show/x.exr", "/dest/x.exr"),
    ("URI", "S3://Bucket", "s3://bucket", "/dest"),
    ("URI", "s3://bucket", "s3://bucket/Show/", "/dest/Show/"),
    ("URI", "s3://bucket/", "s3://bucket/", "/dest/"),
    ("URI", "s3://bucket/Show/", "s3://bucket/Show/", "/dest/"),
    ("URI", "https://user@host:80/a", "https://user@HOST:80/a/b", "/dest/b"),
    ("URI", "file:///Show", "FILE:///Show/x", "/dest/x"),
    ("URI", "file://", "file:///Show", "/dest/Show"),
    # what follows them is taken by the letter: nothing is decoded, dropped or collapsed
    ("URI", "s3://bucket/a%20b", "s3://bucket/a%20b/c%2Fd", "/dest/c%2Fd"),
    ("URI", "s3://bucket/a", "s3://bucket/a//b/./c", "/dest//b/./c"),
    ("URI", "s3://bucket/a//b", "s3://bucket/a//b/c", "/dest/c"),
    ("URI", "s3://bucket/a/", "s3://bucket/a//b", "/dest/b"),
    ("URI", "s3://bucket/a", "s3://bucket/a/../b", "/dest/../b"),
    ("URI", "s3://bucket", "s3://bucket/x?versionId=A/b#C", "/dest/x?versionId=A/b#C"),
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
    ("URI", "s3://bucket", ""),
    ("URI", "file:///a", "file:/a/b"),
    ("URI", "file:///a", "file://a/b"),
    ("URI", "file:///a", "file://localhost/a/b"),
    ("URI", "https://host", "https://host:443/x"),
    ("URI", "https://host/a", "https://host/a?b/c"),
    ("URI", "s3://bucket/a", "s3://bucket//a/b"),
    ("URI", "s3://bucket/a/b", "s3://bucket/a//b"),
    ("URI", "s3://bucket/a/b", "s3://bucket/a/./b"),
    ("URI", "s3://bucket/a b", "s3://bucket/a%20b/c"),
    ("URI", "s3://bucketk", "s3://bucket\u212a/x"),
    ("URI", "s3://bücket", "s3://BÜCKET/x"),
    ("URI", "s3://bucket/", "s3://bucket"),
    ("URI", "s3://bucket/a/", "s3://bucket/a/b"),
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
    ("WINDOWS", "\\\\server\\share", "\\\\server"),
    ("WINDOWS", "C:\\Show", "\\\\?\\UNC\\C:\\Show\\x"),
    ("WINDOWS", "\\\\server\\share", "\\\\?\\server\\share\\x"),
    ("WINDOWS", "C:\\k", "C:\\\u212a\\x"),
    ("WINDOWS", "C:\\Büro", "C:\\BÜRO\\x"),
    ("WINDOWS", "\\proj", "\\\\proj\\x"),
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
        ("D:", "Windows", "/mnt/a/b", "D:\\b"),
        ("\\\\server\\share", "Windows", "/mnt/a/b/c", "\\\\server\\share\\b\\c"),
        # A share by itself stays as it is written; pathlib, and so openjd-sessions on Windows, makes its root of it,
        # and of "/mnt/a/" that with one separator too many.
        ("\\\\server\\share", "Windows", "/mnt/a", "\\\\server\\share"),
        ("\\\\server\\share", "Windows", "/mnt/a/", "\\\\server\\share\\"),
        ("\\\\?\\D:\\", "Windows", "/mnt/a/b", "\\\\?\\D:\\b"),
        ("/dest\\", "Linux", "/mnt/a/b", "/dest\\/b"),
        # a URI keeps its own
        ("s3://bucket/", "Windows", "/mnt/a/b/c", "s3://bucket/b/c"),
        ("s3://bucket", None, "/mnt/a/b/c", "s3://bucket/b/c"),
        ("file:///", None, "/mnt/a/b", "file:///b"),
        # what can only be Windows's is, even if the rule does not say so
        ("D:\\dest", None, "/mnt/a/b/c", "D:\\dest\\b\\c"),
        ("D:/", None, "/mnt/a/b", "D:\\b"),
        ("D:", None, "/mnt/a/b", "D:\\b"),
        ("\\\\server\\share", None, "/mnt/a/b/", "\\\\server\\share\\b\\"),
        ("D:\\dest", "Linux", "/mnt/a/b", "D:\\dest/b"),
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
        # the deepest, not the one of the most letters
        (["/mnt/a/////////////", "/mnt/a/b"], "/mnt/a/b/x", "/1/x"),
        (["/mnt/b/very/long/indeed", "/mnt/a", "/"], "/mnt/a/x", "/1/x"),
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


def test_of_equally_deep_rules_of_several_formats_the_first_counts():
    rules = [rule("WINDOWS", "a", "/w"), rule("POSIX", "a", "/p")]
    assert (map_path(rules, "a/x"), map_path(rules[::-1], "a/x")) == ("/w/x", "/p/x")


@pytest.mark.parametrize("path, expected", [("/farm/a", "/mnt/a"), ("/else/a", "/else/a")])
def test_a_path_object_is_mapped_as_its_text_to_text(path, expected):
    path, rule = pathlib.PurePosixPath(path), PathMappingRule("POSIX", "/farm", "/mnt", "Linux")
    assert map_path([rule], path) == expected and map_path([], path) == str(path)
    assert rule.apply(path=path) == (path.parts[1] == "farm", expected)


def test_a_path_is_mapped_by_the_rules_as_they_are_now():
    rules = [rule("POSIX", "/mnt", "/0")]
    assert map_path(rules, "/mnt/a/x") == "/0/a/x"
    rules.append(rule("POSIX", "/mnt/a", "/1"))
    assert map_path(rules, "/mnt/a/x") == map_path(iter(rules), "/mnt/a/x") == "/1/x"
    rules.clear()
    assert map_path(rules, "/mnt/a/x") == "/mnt/a/x"


RULE = {"source_path_format": "WINDOWS", "source_path": "Z:\\a", "destination_path": "/a"}


def test_a_document_gives_its_rules_in_its_order():
    document = {"version": "pathmapping-1.0", "path_mapping_rules": [RULE, {**RULE, "source_path": "Z:\\a\\b"}]}
    assert [rule.source_path for rule in rules_from_document(document)] == ["Z:\\a", "Z:\\a\\b"]


@pytest.mark.parametrize(
    "document",
    [{}, {"version": "pathmapping-1.0"}, {"path_mapping_rules": []}, {"path_mapping_rules": [], "more": 1}],
)
def test_a_document_without_rules_has_none(document):
    assert rules_from_document(document) == []


@pytest.mark.parametrize("kind, source", [("posix", "/a"), ("Windows", "/a"), ("Uri", "a://b")])
def test_a_rule_is_what_its_object_says(kind, source):
    given = {"source_path_format": kind, "source_path": source, "destination_path": "b", "destination_os": "Windows"}
    made = PathMappingRule.from_dict(rule={**given, "unknown": 1})
    assert made.to_dict() == {**given, "source_path_format": kind.upper()}
    assert PathMappingRule.from_dict(rule=RULE).to_dict() == RULE


@pytest.mark.parametrize(
    "document, complaint",
    [
        ({"version": "pathmapping-2.0"}, "version is 'pathmapping-2.0'"),
        ({"version": None}, "version is None"),
        ({"path_mapping": [RULE]}, "lacks path_mapping_rules"),
        ({"path_mapping_rules": {}}, "must be a list"),
        ({"path_mapping_rules": None}, "must be a list"),
        ({"path_mapping_rules": [RULE, "x"]}, "rules: rule 2: must be an object, not 'x'"),
        ({"path_mapping_rules": [{}]}, "rules: rule 1: lacks source_path_format, source_path, destination_path"),
        ({"path_mapping_rules": [{**RULE, "source_path_format": "VMS"}]}, "'VMS'; known are POSIX, URI, WINDOWS"),
        ({"path_mapping_rules": [{**RULE, "source_path_format": None}]}, "known are"),
        ({"path_mapping_rules": [{**RULE, "source_path": ""}]}, "source_path must be a path, not ''"),
        (
            {"path_mapping_rules": [{**RULE, "source_path_format": "URI"}]},
            "begin as s3://bucket does, not as 'Z:\\\\a'",
        ),
        ({"path_mapping_rules": [{**RULE, "source_path_format": "uri", "source_path": "s3:/a"}]}, "not as 's3:/a'"),
        ({"path_mapping_rules": [{**RULE, "destination_path": 7}]}, "destination_path must be a path, not 7"),
        ({"path_mapping_rules": [{**RULE, "destination_os": 7}]}, "destination_os"),
        ([RULE], "must be an object"),
    ],
)
def test_a_bad_document_is_refused_with_one_line_that_says_what_is_wrong(document, complaint):
    with pytest.raises(InputError) as caught:
        rules_from_document(document)
    assert str(caught.value).startswith("path mapping rules: ")
    assert complaint in str(caught.value) and "\n" not in str(caught.value)


def joined(anchors, separators, names):
    """Paths that are made of these, with one separator or two between the names, and some at the end."""
    separator = st.sampled_from(separators)
    parts = st.lists(st.tuples(st.sampled_from(names), separator), max_size=4)
    return st.builds(
        lambda anchor, parts, end: anchor + "".join(name + mark for name, mark in parts[:-1]) + end,
        st.sampled_from(anchors),
        parts,
        st.sampled_from(["", "a", "b" + separators[0], "A"]),
    )


NAMES = ["a", "a", "b", "A", "ab", "..", ".", "a b", "ä", "Ä", "a.b"]
POSIX = joined(["/", "/", "", "///"], ["/", "/", "//"], [*NAMES, "a\\b"])
WINDOWS = joined(
    ["C:\\", "c:/", "C:\\\\", "C:", "", "\\", "/", "\\\\S\\h\\", "//s/H/", "\\\\s\\h\\a\\"], ["\\", "/", "\\\\"], NAMES
)
URI = joined(
    ["s3://b/", "S3://B/", "s3://b//", "s3://c/", "file:///", "s3:/b/", ""], ["/", "/", "//"], [*NAMES, "a%20b", "a?b"]
)


def reference():
    return module("openjd.sessions")


def theirs(kind, source, destination, path):
    sessions = reference()
    flavour = {"POSIX": pathlib.PurePosixPath, "WINDOWS": pathlib.PureWindowsPath, "URI": str}[kind]
    made = sessions.PathMappingRule(
        source_path_format=sessions.PathFormat[kind],
        source_path=flavour(source),
        destination_path=pathlib.PurePath(destination),
    )
    return made.apply(path=path)


destinations = st.sampled_from(["/dest", "/dest/x y", "relative"])


# Both maps are of this host, and it is POSIX here: openjd-sessions can make no other paths on it. Not compared are:
#  - a destination that ends in its root: openjd-sessions maps "/mnt/a/" to "//" where ours is "/";
#  - a destination that is not normal, such as "/dest/" or "/dest//x": ours is kept as it is written;
#  - a path that begins with exactly two slashes, which pathlib keeps apart from "/", and Linux and macOS do not.
@pytest.mark.skipif(os.name != "posix", reason="the paths compared are those of a POSIX host")
@given(POSIX.filter(bool), POSIX, destinations)
@settings(max_examples=200)
def test_posix_paths_are_mapped_as_openjd_sessions_does(source, path, destination):
    assert rule("POSIX", source, destination).apply(path=path) == theirs("POSIX", source, destination, path)


# Not compared are:
#  - a source without a component, ".": openjd-sessions lets it match absolute paths, too;
#  - long-path prefixes, which openjd-sessions takes for servers;
#  - a server without a share, which is not a path by itself.
@pytest.mark.skipif(os.name != "posix", reason="the paths compared are those of a POSIX host")
@given(WINDOWS.filter(lambda source: pathlib.PureWindowsPath(source).parts), WINDOWS, destinations)
@settings(max_examples=200)
def test_windows_paths_are_mapped_as_openjd_sessions_does(source, path, destination):
    assert rule("WINDOWS", source, destination).apply(path=path) == theirs("WINDOWS", source, destination, path)


@pytest.mark.skipif(os.name != "posix", reason="the paths compared are those of a POSIX host")
@given(URI.filter(lambda source: "://" in source), URI, destinations)
@settings(max_examples=200)
def test_uris_are_mapped_as_openjd_sessions_does(source, path, destination):
    assert rule("URI", source, destination).apply(path=path) == theirs("URI", source, destination, path)


@given(st.lists(POSIX.filter(bool), max_size=5), POSIX)
def test_several_rules_map_as_a_sorted_list_of_them_would(sources, path):
    rules = [rule("POSIX", source, "/%d" % number) for number, source in enumerate(sources)]
    results = [one.apply(path=path) for one in sorted(rules, key=lambda one: -one.depth)]
    assert map_path(rules, path) == next((mapped for matched, mapped in results if matched), path)
