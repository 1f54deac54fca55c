"""How places are named, and what a message never tells."""

from __future__ import annotations

import pytest

from serving.errors import InputError
from stores.store import open_store
from stores.targets import Target, is_target, parse_target, scrub

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("hf:team/name", Target("hf", "team/name")),
        ("hf:team/name@v1.2", Target("hf", "team/name@v1.2")),
        (f"hf:team/name@main#sha256={DIGEST}", Target("hf", "team/name@main", DIGEST)),
        ("s3://bucket/a/b/", Target("s3", "bucket/a/b")),
        (f"gs://bucket/a#sha256={DIGEST}", Target("gs", "bucket/a", DIGEST)),
        ("memory://a", Target("memory", "a")),
        ("file:///srv/models/a", Target("file", "/srv/models/a")),
        ("oci:localhost:5000/team/name:1", Target("oci", "localhost:5000/team/name:1")),
        ("mlflow:name@champion", Target("mlflow", "name@champion")),
        ("bento:name:tag", Target("bento", "name:tag")),
    ],
)
def test_parsed(text: str, target: Target) -> None:
    """Each kind, with a digest or without."""
    assert is_target(text)
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["bundle", "./hf:team/name", "/srv/a", "a=b", "bundles/x#sha256=0", "C:\\x", ""])
def test_a_path_is_no_target(text: str) -> None:
    """What lies on this machine is named by its path."""
    assert not is_target(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s3://", "names nothing"),
        ("hf:", "names nothing"),
        ("bundle", "no place to keep a model"),
        ("s3://bucket/a#sha256=12", "64 hexadecimal digits"),
        ("s3://bucket/a#main", "64 hexadecimal digits"),
        (f"s3://bucket/a#sha256={DIGEST.upper()}", "64 hexadecimal digits"),
        ("s3://bucket/a\nb", "names nothing"),
    ],
)
def test_refused(text: str, message: str) -> None:
    """A target that cannot be one says what is accepted."""
    with pytest.raises(InputError, match=message):
        parse_target(text)


@pytest.mark.parametrize("text", ["hf:name", "hf:a/b/c", "hf:a/b@", "hf:../x", "zzz://bucket/a"])
def test_refused_by_its_kind(text: str) -> None:
    """Each kind knows how its names are written."""
    with pytest.raises(InputError, match="give "):
        open_store(parse_target(text))


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("https://me:pa55word@example.org/x", "pa55word"),
        ("GET http://h/lfs/1?X-Amz-Signature=abcdef&x=1 failed", "abcdef"),
        ("token hf_abcdefghijklmnop is bad", "abcdefghijklmnop"),
        ("key AKIAIOSFODNN7EXAMPLE", "IOSFODNN7EXAMPLE"),
        ("Authorization: Bearer abc.def-ghi.jkl", "abc.def"),
        ("ftp://user:pw1234@host", "pw1234"),
    ],
)
def test_scrubbed(text: str, secret: str) -> None:
    """Passwords, queries, tokens and keys are left out, the rest stays."""
    assert secret not in scrub(text)
    assert scrub("s3://bucket/a#b is not there") == "s3://bucket/a#b is not there"


def test_a_target_shows_no_password() -> None:
    """Not even where it is part of what an object looks like."""
    target = parse_target("ftp://me:pa55word@example.org/x")
    assert "pa55word" not in f"{target} {target!r}"
    assert "pa55word" in target.url
