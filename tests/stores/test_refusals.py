"""What is not the bundle that was asked for is refused, and nothing half-written stays."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.bundle.bundle import Bundle
from serving.bundle.manifest import MANIFEST, SIGNATURE, FileEntry
from serving.errors import BundleError, InputError, UserError
from stores.cache import Cache
from stores.errors import Missing, StoreError, readable
from stores.kinds.paths import explain
from stores.pull import check_names, fetch, pull
from stores.push import push
from stores.targets import parse_target
from tests.bundles import forge, manifest_of
from tests.serving.processes import run_python
from tests.stores.gcs import BUCKET, Gcs
from tests.stores.hub import Hub, Repo

HERE = parse_target("memory://models/one")


def test_another_digest(memory: dict[str, object], tiny_bundle: Path, cache: Cache) -> None:
    """A pinned target is this bundle, or none."""
    push(tiny_bundle, HERE)
    with pytest.raises(StoreError, match=f"has the bundle sha256 .*asked for is {'0' * 64}"):
        fetch(parse_target(f"memory://models/one#sha256={'0' * 64}"), cache)
    with pytest.raises(StoreError, match="the target asks for"):
        push(tiny_bundle, parse_target(f"memory://models/two#sha256={'0' * 64}"))


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "README.md"])
@pytest.mark.parametrize("change", ["altered", "cut", "longer", "missing"])
def test_altered_there(name: str, change: str, tiny_bundle: Path, tmp_path: Path, cache: Cache) -> None:
    """A file that was changed, cut, grown or removed at its place is found out, and named."""
    there = Path(shutil.copytree(tiny_bundle, tmp_path / "there"))
    content = (there / name).read_bytes()
    changed = {"altered": content[:-1] + b"\xff", "cut": content[:-1], "longer": content + b"x"}
    (there / name).unlink() if change == "missing" else (there / name).write_bytes(changed[change])
    with pytest.raises(StoreError, match=name):
        pull(parse_target(f"file://{there}"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list((cache.root / "bundles").glob("*"))


def test_altered_manifest(tiny_bundle: Path, tmp_path: Path) -> None:
    """A manifest that does not match its digest is refused."""
    there = Path(shutil.copytree(tiny_bundle, tmp_path / "there"))
    (there / MANIFEST).write_bytes((there / MANIFEST).read_bytes().replace(b'"fp32"', b'"fp16"'))
    with pytest.raises(BundleError, match="was altered"):
        pull(parse_target(f"file://{there}"), tmp_path / "out")


def test_half_of_it(memory: dict[str, object], tiny_bundle: Path, tmp_path: Path) -> None:
    """The manifest comes last: what an interrupted push left is no bundle, and the next push goes on."""
    push(tiny_bundle, HERE)
    del memory["/models/one/manifest.json"]
    with pytest.raises(Missing, match="which a push writes last"):
        pull(HERE, tmp_path / "out")
    push(tiny_bundle, HERE)
    pull(HERE, tmp_path / "out")


@pytest.mark.parametrize(
    "name", ["../out.txt", "/tmp/out.txt", "a/../../out.txt", "./a", "a//b", "a/.", "manifest.json", "model.sig"]
)
def test_unsafe_names(name: str, tiny_bundle: Path, tmp_path: Path, cache: Cache) -> None:
    """A manifest that names a file outside the bundle is refused before anything is written."""
    there = Path(shutil.copytree(tiny_bundle, tmp_path / "there"))
    manifest = manifest_of(there)
    entries = {**manifest.files, name: FileEntry(sha256="0" * 64, size=3)}
    (there / MANIFEST).write_bytes(manifest.model_copy(update={"files": entries}).seal().to_bytes())
    (tmp_path / "out.txt").write_text("old")
    with pytest.raises(StoreError, match="no path below a folder"):
        fetch(parse_target(f"file://{there}"), cache)
    assert (tmp_path / "out.txt").read_text() == "old"
    assert not any(path.is_file() for path in (cache.root / "partial").rglob("*"))


def test_a_file_within_a_file() -> None:
    """`a` cannot be a file and a folder."""
    with pytest.raises(StoreError, match="no path below"):
        check_names(["a", "a/b"], HERE)


def test_a_link_in_the_partial_folder_is_not_followed(
    memory: dict[str, object], tiny_bundle: Path, tmp_path: Path, cache: Cache
) -> None:
    """What somebody planted in the cache leads nowhere."""
    digest = push(tiny_bundle, HERE)
    (tmp_path / "victim").write_text("old")
    cache.partial(digest).mkdir(parents=True)
    (cache.partial(digest) / "README.md").symlink_to(tmp_path / "victim")
    fetch(HERE, cache)
    assert (tmp_path / "victim").read_text() == "old"


def test_an_altered_cache_is_mended(memory: dict[str, object], tiny_bundle: Path, cache: Cache) -> None:
    """A cached file that somebody changed is downloaded again."""
    digest = push(tiny_bundle, HERE)
    cached = fetch(HERE, cache)
    (cached / "README.md").write_text("other")
    assert Bundle.open(fetch(parse_target(f"{HERE}#sha256={digest}"), cache)).digest == digest


def test_a_damaged_bundle_is_not_pushed(memory: dict[str, object], tiny_bundle: Path, tmp_path: Path) -> None:
    """Not a byte of it; nor a link in place of a file."""
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    content = (bundle / "golden.jsonl").read_bytes()
    (bundle / "golden.jsonl").write_bytes(content[:-2] + b"\n\n")
    with pytest.raises(BundleError, match=r"golden\.jsonl was altered"):
        push(bundle, HERE)
    (bundle / "golden.jsonl").unlink()
    (tmp_path / "elsewhere").write_bytes(content)
    (bundle / "golden.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="not a plain file"):
        push(bundle, HERE)
    assert memory == {}


@pytest.mark.parametrize("kind", ["memory", "file", "s3"])
def test_another_bundle_there(kind: str, place: Callable[[str], str], tiny_bundle: Path, tmp_path: Path) -> None:
    """A place without versions keeps what it has, unless told; then nothing of the old bundle stays."""
    target = parse_target(place(kind))
    extra = {"notes.txt": b"old"}
    first = push(forge(tiny_bundle, tmp_path / "old", name="older", files=extra), target)
    with pytest.raises(StoreError, match=f"has the bundle sha256 {first} already.*--overwrite"):
        push(tiny_bundle, target)
    push(tiny_bundle, target, overwrite=True)
    pull(target, tmp_path / "out")
    assert manifest_of(tmp_path / "out") == manifest_of(tiny_bundle)
    with pytest.raises(StoreError, match="already"):
        push(tmp_path / "old", target)


def test_something_else_there(tmp_path: Path, tiny_bundle: Path) -> None:
    """A folder of other files is left alone."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.tex").write_text("mine")
    target = parse_target(f"file://{tmp_path / 'there'}")
    with pytest.raises(StoreError, match=r"something else than a bundle \(thesis\.tex\)"):
        push(tiny_bundle, target)
    (tmp_path / "there" / MANIFEST).write_text("{}")
    with pytest.raises(StoreError, match=r"a manifest\.json that is no bundle's already"):
        push(tiny_bundle, target)


def test_the_output_is_taken(memory: dict[str, object], tiny_bundle: Path, tmp_path: Path) -> None:
    """`--output` is free, empty, or an older bundle's, which is replaced."""
    push(tiny_bundle, HERE)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists and is not a bundle"):
        pull(HERE, tmp_path / "out")
    older = forge(tiny_bundle, tmp_path / "older", name="older", files={"old.txt": b"old"})
    pull(HERE, older)
    assert manifest_of(older) == manifest_of(tiny_bundle)
    assert not (older / "old.txt").exists()


def test_a_signature_travels(memory: dict[str, object], tiny_bundle: Path, tmp_path: Path) -> None:
    """It is not in the manifest, and may come later than the bundle."""
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    push(bundle, HERE)
    pull(HERE, tmp_path / "out")
    assert not (tmp_path / "out" / SIGNATURE).exists()
    (bundle / SIGNATURE).write_text("signed")
    push(bundle, HERE)
    pull(HERE, tmp_path / "out")
    assert (tmp_path / "out" / SIGNATURE).read_text() == "signed"


@pytest.mark.parametrize("kind", ["memory", "file", "s3", "hf", "oci"])
def test_nothing_there(kind: str, place: Callable[[str], str], tmp_path: Path) -> None:
    """A place that does not exist is named."""
    with pytest.raises(Missing, match=r"there is no|is no bundle|no such name"):
        pull(parse_target(place(kind)), tmp_path / "out")


def test_no_such_bucket(s3: str, tmp_path: Path, tiny_bundle: Path) -> None:
    """Neither to read nor to write; a bucket is never made."""
    with pytest.raises(UserError, match=r"s3://nowhere-at-all/x: .*"):
        push(tiny_bundle, parse_target("s3://nowhere-at-all/x"))


def test_no_credentials(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which are looked for."""
    import s3fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match=r"no credentials were found.*AWS_ACCESS_KEY_ID"):
        pull(parse_target(f"{s3}/x"), tmp_path / "out")


@pytest.mark.slow
def test_no_network(s3: str, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where nobody answers."""
    import huggingface_hub
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    with pytest.raises(StoreError, match="cannot be reached"):
        pull(parse_target(f"{s3}/x"), tmp_path / "out")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match=r"cannot be reached.*HF_ENDPOINT"):
        pull(parse_target("hf:team/one"), tmp_path / "out")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(StoreError, match="HF_HUB_OFFLINE=1 forbids"):
        pull(parse_target("hf:team/one"), tmp_path / "out")


S3_REFUSALS: dict[str, tuple[str, str]] = {
    "Forbidden": ("403", "access is denied"),
    "The provided token has expired.": ("ExpiredToken", "access is denied"),
    "Bad Request": ("400", r"session token may be expired.*AWS_SESSION_TOKEN"),
    "Moved Permanently": ("301", r"in another region.*AWS_DEFAULT_REGION"),
    "must be addressed using the specified endpoint": ("PermanentRedirect", r"in another region.*AWS_DEFAULT_REGION"),
    "the region 'a' is wrong; expecting 'b'": (
        "AuthorizationHeaderMalformed",
        r"in another region.*AWS_DEFAULT_REGION",
    ),
    "The b location constraint is incompatible": ("IllegalLocationConstraintException", r"in another region"),
    "Service Unavailable": ("503", "is busy"),
}


@pytest.mark.parametrize("words", S3_REFUSALS)
def test_s3_refuses(words: str) -> None:
    """Said with the variable that helps, also where S3 answers by a status alone."""
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    code, message = S3_REFUSALS[words]
    with pytest.raises(StoreError, match=message), readable(parse_target("s3://models/one"), explain):
        raise translate_boto_error(ClientError({"Error": {"Code": code, "Message": words}}, "HeadObject"))


def test_google_refuses(gcs: Gcs, tmp_path: Path) -> None:
    """A role that may not read."""
    gcs.refuses = (403, "somebody does not have storage.objects.get access")
    with pytest.raises(StoreError, match=r"access is denied.*storage\.objects\.get"):
        pull(parse_target(f"gs://{BUCKET}/team/one"), tmp_path / "out")


@pytest.mark.parametrize("writes", [False, True])
def test_a_revoked_token(writes: bool, hub: Hub, tiny_bundle: Path, tmp_path: Path) -> None:
    """The message names the variable, and not the token."""
    token, hub.token, hub.public = hub.token, "hf_anotherone", False
    with pytest.raises(StoreError, match="HF_TOKEN") as caught:
        push(tiny_bundle, parse_target("hf:team/one")) if writes else pull(parse_target("hf:team/one"), tmp_path / "o")
    assert token not in str(caught.value)
    assert hub.repos == {}


@pytest.mark.slow
def test_an_extra_that_lacks() -> None:
    """The message says what to install."""
    script = (
        "import sys; sys.modules['s3fs'] = None; sys.argv[1:] = ['pull', 's3://bucket/x', '-o', 'never-made']\n"
        "import tuneship; tuneship.main()"
    )
    result = run_python(script)
    assert result.returncode == 1
    assert "s3://bucket/x: needs the extra s3: pip install 'tuneship[s3]'" in result.stderr


def test_a_hub_without_xet(hub: Hub, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mirrors take plain uploads alone; the message says how."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", False)
    with pytest.raises(StoreError, match=r"no uploads by xet; set HF_HUB_DISABLE_XET=1"):
        push(tiny_bundle, parse_target("hf:team/one"))


def test_a_hub_repository_of_something_else(hub: Hub, tiny_bundle: Path) -> None:
    """Somebody's other model is not buried under a bundle."""
    hub.repos["team/one"] = Repo()
    hub.repos["team/one"].commit("main", {".gitattributes": b"", "pytorch_model.bin": b"x"})
    with pytest.raises(StoreError, match=r"something else than a bundle \(pytorch_model\.bin\)"):
        push(tiny_bundle, parse_target("hf:team/one"))
    assert len(hub.repos["team/one"].commits) == 1


@pytest.mark.slow
def test_a_hub_has_versions(hub: Hub, tiny_bundle: Path, tmp_path: Path) -> None:
    """A second push is a second commit; the first can still be had by its commit, and a branch is of its own."""
    older = forge(tiny_bundle, tmp_path / "older", name="older", files={"old.txt": b"old"})
    target = parse_target("hf:team/one")
    push(older, target)
    first = hub.repos["team/one"].branches["main"]
    push(tiny_bundle, target)
    assert "old.txt" not in hub.read("team/one")
    push(older, parse_target("hf:team/one@v2"))
    assert pull(target, tmp_path / "new") == manifest_of(tiny_bundle).digest
    assert pull(parse_target(f"hf:team/one@{first}"), tmp_path / "old") == manifest_of(older).digest
    assert pull(parse_target("hf:team/one@v2"), tmp_path / "v2") == manifest_of(older).digest
    with pytest.raises(Missing, match="no such revision"):
        pull(parse_target("hf:team/one@v3"), tmp_path / "v3")
