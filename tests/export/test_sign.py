"""Signing on the command line, and every way to serve that requires a signature."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from export import sign
from export.sign import SigningUnavailable, sign_with_key, verify_identity
from serving.bundle.bundle import Bundle
from serving.bundle.manifest import SIGNATURE
from serving.errors import BundleError, InputError
from serving.lambda_handler import Function
from serving.settings.settings import ServerSettings
from tests.keys import KeyPair, make_keys
from tests.test_cli import assert_refused
from tests.test_cli import tuneship as tuneship_process
from tuneship import main

Tuneship = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """A pair without a password."""
    return make_keys(tmp_path_factory.mktemp("keys") / "ours")


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """An unsigned copy that a test may sign or damage."""
    return shutil.copytree(tiny_bundle, tmp_path / "bundle")


@pytest.fixture
def tuneship(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuneship:
    """Runs the command in this process, which spares its imports."""
    for name in ("TOKENIZERS_PARALLELISM", "GOMP_SPINCOUNT"):  # which `main` would set for good
        monkeypatch.setenv(name, "1")

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as context:
            context.setattr(sys, "argv", ["tuneship", *map(str, arguments)])
            for name, value in environment.items():
                context.setenv(name, value)
            with pytest.raises(SystemExit) as exited:
                main()
        return subprocess.CompletedProcess([], int(exited.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def trust_config(tmp_path: Path) -> Path:
    """Sigstore's public roots of trust from the package, which need no network."""
    store = resources.files("sigstore._store") / "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev"
    content = {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": json.loads((store / "trusted_root.json").read_text()),
        "signingConfig": json.loads((store / "signing_config.v0.2.json").read_text()),
    }
    path = tmp_path / "trust.json"
    path.write_text(json.dumps(content))
    return path


def test_sign_and_verify(tuneship: Tuneship, bundle: Path, keys: KeyPair) -> None:
    """`tuneship sign` and `tuneship verify` with a key pair; signing again replaces the signature."""
    for _ in range(2):
        assert "signed" in tuneship("sign", bundle, "--key", keys.private).stdout
    result = tuneship("verify", bundle, "--key", keys.public)
    assert result.returncode == 0, result.stderr
    assert "every file was signed with" in result.stdout
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["bundle"]


def test_verify_refuses(tuneship: Tuneship, bundle: Path, keys: KeyPair, tmp_path: Path) -> None:
    """Unsigned, or signed by another: exit status 1 and a message."""
    assert_refused(tuneship("verify", bundle, "--key", keys.public), "is not signed")
    sign_with_key(bundle, make_keys(tmp_path / "other").private)
    assert_refused(tuneship("verify", bundle, "--key", keys.public), "model.sig was not made with the private key")
    refused = tuneship("verify", bundle, TUNESHIP_REQUIRE_SIGNATURE=str(keys.public))
    assert_refused(refused, "model.sig was not made with the private key")


@pytest.mark.slow
def test_serve_and_predict_refuse(tuneship: Tuneship, bundle: Path, keys: KeyPair, tmp_path: Path) -> None:
    """`tuneship serve` and `predict` do not start on an unsigned bundle if a signature is required."""
    required = ("--require-signature", keys.public)
    assert_refused(tuneship_process("serve", bundle, "--port", "0" * 4 + "1", *required), "is not signed")
    (tmp_path / "in.jsonl").write_text('{"inputs": "stop"}\n')
    files = ("--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl")
    assert_refused(tuneship("predict", bundle, *files, *required), "is not signed")
    sign_with_key(bundle, keys.private)
    assert tuneship("predict", bundle, *files, *required).returncode == 0


def test_lambda_refuses(bundle: Path, keys: KeyPair) -> None:
    """The Lambda function does not start on an unsigned bundle, and answers from a signed one."""
    settings = ServerSettings(bundle=bundle, trusted_key=keys.public)
    with pytest.raises(BundleError, match="is not signed"):
        Function(settings)
    sign_with_key(bundle, keys.private)
    function = Function(settings)
    assert function({"inputs": "stop"})
    function.close()


def test_an_encrypted_key(tuneship: Tuneship, bundle: Path, tmp_path: Path) -> None:
    """The password comes from the environment; a wrong one, or none, is refused."""
    keys = make_keys(tmp_path / "keys", password=b"secret")
    assert tuneship("sign", bundle, "--key", keys.private, TUNESHIP_KEY_PASSWORD="secret").returncode == 0
    assert tuneship("verify", bundle, "--key", keys.public).returncode == 0
    for password in ("wrong", None):
        with pytest.raises(InputError, match=r"private\.pem is not a private key that can sign"):
            sign_with_key(bundle, keys.private, password)


@pytest.mark.parametrize("kind", ["absent", "public", "junk"])
def test_a_wrong_key(bundle: Path, keys: KeyPair, tmp_path: Path, kind: str) -> None:
    """What is no private key is rejected, and leaves nothing in the bundle."""
    path = {"absent": tmp_path / "nowhere", "public": keys.public, "junk": bundle / "README.md"}[kind]
    with pytest.raises(InputError, match=r"cannot be read|is not a private key that can sign"):
        sign_with_key(bundle, path)
    assert not (bundle / SIGNATURE).exists()


def test_an_altered_bundle_is_not_signed(bundle: Path, keys: KeyPair) -> None:
    """Altered files are not signed."""
    (bundle / "README.md").write_text("altered")
    with pytest.raises(BundleError, match=r"README\.md was altered"):
        sign_with_key(bundle, keys.private)


def test_an_identity_needs_sigstore(tuneship: Tuneship, bundle: Path, tmp_path: Path) -> None:
    """If Sigstore's services are unreachable, signing and checking an identity say so, without a traceback."""
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    assert_refused(tuneship("sign", bundle, **nowhere), "Sigstore cannot sign", "or use --key")
    assert not (bundle / SIGNATURE).exists()
    (bundle / SIGNATURE).write_text("{}")
    identity = ("--identity", "ada@example.org", "--identity-provider", "https://accounts.google.com")
    assert_refused(tuneship("verify", bundle, *identity, **nowhere), "Sigstore cannot check an identity")
    assert_refused(tuneship("verify", bundle, *identity[:2]), "--identity needs --identity-provider")


def test_a_keys_signature_is_no_identitys(bundle: Path, keys: KeyPair, trust_config: Path) -> None:
    """With Sigstore's real roots, a signature without a certificate is invalid."""
    opened = Bundle.open(bundle)
    with pytest.raises(BundleError, match="is not signed"):
        verify_identity(opened, "ada@example.org", "https://accounts.google.com", trust_config=trust_config)
    sign_with_key(bundle, keys.private)
    with pytest.raises(BundleError, match=r"model\.sig is not a valid signature by ada@example\.org"):
        verify_identity(opened, "ada@example.org", "https://accounts.google.com", trust_config=trust_config)


def test_without_the_package(bundle: Path, keys: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the extra is not installed, the error names it."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(sign.importlib, "import_module", missing)
    with pytest.raises(SigningUnavailable, match=r"pip install 'tuneship\[sign\]'"):
        sign_with_key(bundle, keys.private)


def test_openssl_makes_such_keys(tuneship: Tuneship, bundle: Path, tmp_path: Path) -> None:
    """The README's openssl commands make a pair that signs and verifies."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    make = "ecparam -genkey -name prime256v1 -noout -out private.pem", "ec -in private.pem -pubout -out public.pem"
    for arguments in make:
        subprocess.run(["openssl", *arguments.split()], cwd=tmp_path, check=True, capture_output=True)
    sign_with_key(bundle, tmp_path / "private.pem")
    assert tuneship("verify", bundle, "--key", tmp_path / "public.pem").returncode == 0
