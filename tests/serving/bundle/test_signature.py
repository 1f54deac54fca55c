"""A signature covers every file: what was altered, left out or signed by somebody else is refused, and named."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from model_signing import hashing, signing, verifying
from starlette.testclient import TestClient

from deploy.measurement.process import free_port
from export.sign import sign_with_key
from serving.bundle.bundle import Bundle
from serving.bundle.manifest import MANIFEST, SIGNATURE
from serving.bundle.signature import load_public_key, require_signature
from serving.errors import BundleError, InputError
from serving.http.app import create_app
from serving.http.models.sources import BundleFolder
from serving.inference.predictor import Predictor
from tests.bundles import forge, manifest_of, seal
from tests.keys import CURVES, KeyPair, make_keys
from tests.test_cli import assert_refused, tuneship


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """The pair that the bundle is signed with."""
    return make_keys(tmp_path_factory.mktemp("keys") / "ours")


@pytest.fixture(scope="module")
def signed(tiny_bundle: Path, keys: KeyPair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed bundle; read it, never write into it."""
    bundle = shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("signed") / "bundle")
    sign_with_key(bundle, keys.private)
    return bundle


@pytest.fixture
def copy(signed: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(signed, tmp_path / "bundle")


def model_signing(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The OpenSSF package's own command."""
    command = [sys.executable, "-m", "model_signing", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def change(bundle: Path, alter: Callable[[dict[str, Any]], None]) -> None:
    """Alter the signature file's JSON."""
    content = json.loads((bundle / SIGNATURE).read_text())
    alter(content)
    (bundle / SIGNATURE).write_text(json.dumps(content))


def test_signed(signed: Path, keys: KeyPair, tiny_bundle: Path) -> None:
    """The signed bundle serves with and without the demand, under the identity it had before."""
    assert Predictor.open(signed, trusted_key=keys.public).bundle.digest == Bundle.open(tiny_bundle).digest
    assert Bundle.open(signed)


def test_unsigned(tiny_bundle: Path, keys: KeyPair) -> None:
    """A bundle without a signature is refused, and told how to get one."""
    with pytest.raises(BundleError, match=r"is not signed: it has no model\.sig\. Sign it: tuneship sign"):
        Predictor.open(tiny_bundle, trusted_key=keys.public)


def test_another_key(signed: Path, tmp_path: Path) -> None:
    """Somebody else's signature is none."""
    other = make_keys(tmp_path / "other")
    with pytest.raises(
        BundleError, match=r"model\.sig was not made with the private key that belongs to .*public\.pem"
    ):
        Predictor.open(signed, trusted_key=other.public)


def test_another_keys_signature_under_our_name(copy: Path, keys: KeyPair, tmp_path: Path) -> None:
    """A forger who writes our key's fingerprint over his own signature is found by the signature itself."""
    hint = json.loads((copy / SIGNATURE).read_text())["verificationMaterial"]["publicKey"]["hint"]
    sign_with_key(copy, make_keys(tmp_path / "other").private)
    change(copy, lambda content: content["verificationMaterial"]["publicKey"].update(hint=hint))
    with pytest.raises(BundleError, match="the signature in it does not hold"):
        Predictor.open(copy, trusted_key=keys.public)


def flipped(bundle: Path) -> Iterator[str]:
    """The name of each file in turn, with one bit in its middle flipped while it is that file's turn."""
    for path in sorted(bundle.iterdir()):
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        yield path.name
        path.write_bytes(content)


@pytest.fixture
def signed_fallback(tiny_fallback_bundle: Path, keys: KeyPair, tmp_path: Path) -> Path:
    """A signed bundle of two variants: every kind of file there is."""
    bundle = shutil.copytree(tiny_fallback_bundle, tmp_path / "bundle")
    sign_with_key(bundle, keys.private)
    return bundle


def test_flipped_byte(signed_fallback: Path, keys: KeyPair) -> None:
    """One flipped bit in any file is found, and the file is named: no fallback hides it."""
    tried = set()
    for name in flipped(signed_fallback):
        with pytest.raises(BundleError, match=re.escape(name)):
            Predictor.open(signed_fallback, trusted_key=keys.public)
        tried.add(name)
    assert {MANIFEST, SIGNATURE, "bom.cdx.json", "model.fp32.onnx", "golden.fp32.jsonl", "README.md"} < tried
    assert tried == {path.name for path in signed_fallback.iterdir()}
    assert Predictor.open(signed_fallback, trusted_key=keys.public)


@pytest.mark.slow
def test_flipped_byte_on_the_command_line(signed_fallback: Path, keys: KeyPair) -> None:
    """The same of `tuneship verify` and of `tuneship serve`, which does not start."""
    for name in flipped(signed_fallback):
        assert_refused(tuneship("verify", signed_fallback, "--key", keys.public), name)
        demand = ("--port", free_port(), "--require-signature", keys.public)
        assert_refused(tuneship("serve", signed_fallback, *demand), name)


def test_every_byte_of_the_signature(copy: Path, keys: KeyPair) -> None:
    """No byte of the signature can change unnoticed, not even those that nothing signs."""
    bundle, path = Bundle.open(copy), copy / SIGNATURE
    content = path.read_bytes()
    for at in range(0, len(content), 5):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(BundleError, match=SIGNATURE):
            require_signature(bundle, keys.public)


def test_unused_bits_of_the_signature(copy: Path, keys: KeyPair) -> None:
    """Base64 whose last bits stand for no byte is refused where they are not zero, as the same bytes read otherwise."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    def alter(content: dict[str, Any]) -> None:
        signature = content["dsseEnvelope"]["signatures"][0]
        while len(signature["sig"].rstrip("=")) % 4 == 0:  # of DER, whose length varies
            sign_with_key(copy, keys.private)
            signature.update(json.loads((copy / SIGNATURE).read_text())["dsseEnvelope"]["signatures"][0])
        text = signature["sig"].rstrip("=")
        signature["sig"] = text[:-1] + digits[digits.index(text[-1]) + 1] + "=" * (-len(text) % 4)

    change(copy, alter)
    with pytest.raises(BundleError, match=r"model\.sig was altered.*not the one base64 form of its bytes"):
        require_signature(Bundle.open(copy), keys.public)


@pytest.mark.parametrize("name", ["README.md", "golden.jsonl"])
def test_forged(signed: Path, keys: KeyPair, tmp_path: Path, name: str) -> None:
    """A forger who seals the manifest anew is found by the signature: the altered file or the manifest is named."""
    forged = forge(signed, tmp_path / "forged", files={name: (signed / name).read_bytes() + b"\n"})
    assert (forged / SIGNATURE).read_bytes() == (signed / SIGNATURE).read_bytes()
    opened = Bundle.open(forged)
    with pytest.raises(BundleError, match=rf"({name}|{MANIFEST}) is not the file that was signed"):
        require_signature(opened, keys.public)


def test_another_bundles_signature(signed: Path, tiny_int8_bundle: Path, keys: KeyPair, tmp_path: Path) -> None:
    """A good signature of another bundle does not hold for this one."""
    bundle = shutil.copytree(tiny_int8_bundle, tmp_path / "bundle")
    shutil.copy(signed / SIGNATURE, bundle / SIGNATURE)
    with pytest.raises(BundleError, match="is not the file that was signed"):
        Predictor.open(bundle, trusted_key=keys.public)


def test_every_file_must_be_covered(tiny_bundle: Path, keys: KeyPair, tmp_path: Path) -> None:
    """A signature by the right key that leaves a file out is not taken for one of the whole bundle."""
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    hashed = hashing.Config().set_ignored_paths(paths=[bundle / "model.onnx"])
    signing.Config().use_elliptic_key_signer(private_key=keys.private).set_hashing_config(hashed).sign(
        bundle, tmp_path / SIGNATURE
    )
    shutil.copy(tmp_path / SIGNATURE, bundle)
    with pytest.raises(BundleError, match=r"model\.onnx is not covered by model\.sig"):
        Predictor.open(bundle, trusted_key=keys.public)


@pytest.mark.slow
def test_the_packages_command_verifies_ours(copy: Path, keys: KeyPair) -> None:
    """`model_signing verify key` takes what `tuneship sign` makes, and finds what was altered."""
    command = ("verify", "key", copy, "--public_key", keys.public, "--signature", copy / SIGNATURE)
    result = model_signing(*command)
    assert result.returncode == 0, result.stdout + result.stderr
    (copy / "README.md").write_text("altered")
    with pytest.raises(ValueError, match=r"README\.md"):
        verifying.Config().use_elliptic_key_verifier(public_key=keys.public).verify(copy, copy / SIGNATURE)


@pytest.mark.slow
def test_we_verify_the_packages_commands(tiny_bundle: Path, keys: KeyPair, tmp_path: Path) -> None:
    """A server takes what `model_signing sign key` makes."""
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    result = model_signing("sign", "key", bundle, "--private_key", keys.private, "--signature", bundle / SIGNATURE)
    assert result.returncode == 0, result.stdout + result.stderr
    require_signature(Bundle.open(bundle), keys.public)


@pytest.mark.parametrize("curve", CURVES)
def test_each_curve(tiny_bundle: Path, tmp_path: Path, curve: str) -> None:
    """On each curve the package and the server agree on a signature, and on an altered one."""
    keys, bundle = make_keys(tmp_path / "keys", curve), shutil.copytree(tiny_bundle, tmp_path / "bundle")
    sign_with_key(bundle, keys.private)
    require_signature(Bundle.open(bundle), keys.public)
    theirs = verifying.Config().use_elliptic_key_verifier(public_key=keys.public)
    theirs.verify(bundle, bundle / SIGNATURE)


def test_a_new_version_must_be_signed_too(copy: Path, keys: KeyPair) -> None:
    """A server that looks for new versions takes none that is not signed."""
    folder = BundleFolder(copy, trusted_key=keys.public)
    assert folder.open()
    (copy / SIGNATURE).unlink()
    with pytest.raises(BundleError, match="is not signed"):
        folder.open()


@pytest.mark.parametrize("content", [b"", b"junk", b"[]", b"{}", b"\xff", b"[" * 100_000])
def test_junk(copy: Path, keys: KeyPair, content: bytes) -> None:
    """A signature file that holds none is a message."""
    (copy / SIGNATURE).write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.sig was altered, or is not a signature by a key"):
        Predictor.open(copy, trusted_key=keys.public)


def test_a_link(copy: Path, tmp_path: Path) -> None:
    """A link in the signature's place is refused, whatever it leads to."""
    (copy / SIGNATURE).rename(tmp_path / SIGNATURE)
    (copy / SIGNATURE).symlink_to(tmp_path / SIGNATURE)
    with pytest.raises(BundleError, match=r"model\.sig is a link"):
        Bundle.open(copy)


@pytest.mark.parametrize("kind", ["absent", "private", "junk", "rsa"])
def test_wrong_key_file(signed: Path, keys: KeyPair, tmp_path: Path, kind: str) -> None:
    """What is no public key of the right kind is refused as the user's mistake, not the bundle's."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    path = tmp_path / "key.pem"
    if kind == "private":
        shutil.copy(keys.private, path)
    elif kind == "junk":
        path.write_text("-----BEGIN PUBLIC KEY-----\n")
    elif kind == "rsa":
        key = rsa.generate_private_key(65537, 1024).public_key()
        path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(InputError, match=r"key\.pem .*a public key on the curve P-256, P-384 or P-521 in PEM"):
        load_public_key(path)


def test_only_sha256_is_taken(tiny_bundle: Path, keys: KeyPair, tmp_path: Path) -> None:
    """A signed list in another form than files by sha256 says how to sign instead."""
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    config = signing.Config().use_elliptic_key_signer(private_key=keys.private)
    config.set_hashing_config(hashing.Config().use_file_serialization(hashing_algorithm="blake2"))
    config.sign(bundle, tmp_path / SIGNATURE)
    shutil.copy(tmp_path / SIGNATURE, bundle)
    with pytest.raises(BundleError, match="lists no files by sha256"):
        require_signature(Bundle.open(bundle), keys.public)


def test_payload_is_what_was_signed(copy: Path, keys: KeyPair) -> None:
    """A statement rewritten to fit an altered file no longer fits its signature."""

    def rewrite(content: dict[str, Any]) -> None:
        statement = base64.b64decode(content["dsseEnvelope"]["payload"]).replace(b"sha256", b"sha512", 1)
        content["dsseEnvelope"]["payload"] = base64.b64encode(statement).decode()

    change(copy, rewrite)
    with pytest.raises(BundleError, match="the signature in it does not hold"):
        require_signature(Bundle.open(copy), keys.public)


def test_rollback(copy: Path, keys: KeyPair) -> None:
    """An older version, rightly signed, is refused where a server demands a date; that day's own is served."""
    created = manifest_of(copy).time
    assert Predictor.open(copy, trusted_key=keys.public, created_after=created)
    with pytest.raises(BundleError, match=r"was exported at .*, before .*: an older version was put back"):
        Predictor.open(copy, trusted_key=keys.public, created_after=created + timedelta(seconds=1))


def test_a_date_is_signed(copy: Path, keys: KeyPair) -> None:
    """A forger who dates an old version anew breaks its signature."""
    seal(copy, manifest_of(copy).model_copy(update={"created": "2099-01-01T00:00:00+00:00"}))
    with pytest.raises(BundleError, match=r"manifest\.json is not the file that was signed"):
        Predictor.open(copy, trusted_key=keys.public, created_after=datetime(2090, 1, 1, tzinfo=UTC))


def test_rollback_while_serving(tiny_bundle: Path, tmp_path: Path, keys: KeyPair) -> None:
    """A running server refuses the older version as a new one, and goes on with its own."""
    today = forge(tiny_bundle, tmp_path / "bundle", created="2026-02-02T00:00:00+00:00")
    before = forge(tiny_bundle, tmp_path / "before", created="2026-01-01T00:00:00+00:00")
    for each in (today, before):
        sign_with_key(each, keys.private)
    source = BundleFolder(today, trusted_key=keys.public, created_after=datetime(2026, 2, 1, tzinfo=UTC))
    app = create_app(source)
    with TestClient(app) as client:
        assert client.portal is not None
        digest = client.get("/info").json()["bundle_sha256"]
        shutil.rmtree(today)
        before.rename(today)
        client.portal.call(app.server_state.models.reload)
        assert client.get("/info").json()["bundle_sha256"] == digest
        assert client.get("/metrics").text.count('outcome="refused"} 1.0') == 1
