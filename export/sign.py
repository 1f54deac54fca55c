"""Sign a bundle, and check who signed one: what needs the model-signing package (OpenSSF), the extra ``sign``.

`serving.bundle.signature` checks a signature by a key without that package. A Sigstore identity is a person or a
workload that an OpenID provider vouches for; signing and checking with it need Sigstore's public services.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serving.bundle.bundle import Bundle
from serving.bundle.manifest import SIGNATURE
from serving.errors import BundleError, InputError


def sign_with_key(root: Path, private_key: Path, password: str | None = None) -> None:
    """Sign every file of a bundle with a private key on the curve P-256, P-384 or P-521, in PEM.

    Raises:
        BundleError: the bundle is not as it was written: nothing altered is signed.
        InputError: the key cannot be read, is of another kind, or needs another password.
    """
    signing = _library("signing")
    try:
        # The package takes the password for a text and hands it on to where bytes are asked for.
        secret = password.encode() if password else None
        config = signing.Config().use_elliptic_key_signer(private_key=private_key, password=secret)
    except OSError as error:
        raise InputError(f"{private_key} cannot be read: {error.strerror}", field="--key") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{private_key} is not a private key that can sign: {error}", field="--key") from error
    _sign(root, config)


def sign_with_identity(root: Path, *, token: str | None = None, trust_config: Path | None = None) -> None:
    """Sign every file of a bundle as a Sigstore identity.

    Args:
        root: the bundle's folder.
        token: an OpenID token; where there is none, the one that the surroundings offer (a CI job), or a browser asks.
        trust_config: Sigstore's client trust configuration, for a Sigstore of one's own.

    Raises:
        BundleError: the bundle is not as it was written.
        InputError: Sigstore cannot be reached or does not believe the identity.
    """
    signing = _library("signing")
    with _sigstore("sign"):
        config = signing.Config().use_sigstore_signer(
            identity_token=token, use_ambient_credentials=True, trust_config=trust_config
        )
        _sign(root, config)


def verify_identity(bundle: Bundle, identity: str, provider: str, *, trust_config: Path | None = None) -> None:
    """Check that a Sigstore identity signed every file of an opened bundle.

    Args:
        bundle: as `Bundle.open` gives it.
        identity: the e-mail address, or the workload's URI, in the certificate.
        provider: the OpenID provider that vouched for it, such as ``https://accounts.google.com``.
        trust_config: Sigstore's client trust configuration, for a Sigstore of one's own.

    Raises:
        BundleError: there is no signature, or it is not this identity's, or the files are not those signed.
        InputError: Sigstore's roots of trust cannot be had.
    """
    verifying, hashing = _library("verifying"), _library("hashing")
    if not (bundle.root / SIGNATURE).is_file():
        raise BundleError(f"{bundle.root} is not signed: it has no {SIGNATURE}. Sign it: tuneship sign BUNDLE")
    with _sigstore("check an identity"):
        config = verifying.Config().use_sigstore_verifier(
            identity=identity, oidc_issuer=provider, trust_config=trust_config
        )
    # The signer's own list of files to leave out is not asked: every file must be covered.
    config.set_hashing_config(_every_file(hashing))
    try:
        config.verify(bundle.root, bundle.root / SIGNATURE)
    except Exception as error:  # the libraries beneath raise many kinds: whatever it is, the signature does not hold
        raise BundleError(f"{bundle.root}: {SIGNATURE} does not hold for {identity} of {provider}: {error}") from error


def _sign(root: Path, config: Any) -> None:
    """Write the signature aside first, so that none half-written lies in the bundle."""
    bundle = Bundle.open(root)
    config.set_hashing_config(_every_file(_library("hashing")))
    with tempfile.TemporaryDirectory(dir=bundle.root.resolve().parent, prefix=f".{SIGNATURE}.") as folder:
        config.sign(bundle.root, Path(folder) / SIGNATURE)
        (Path(folder) / SIGNATURE).replace(bundle.root / SIGNATURE)


def _every_file(hashing: Any) -> Any:
    """sha256 of each file but the signature's own."""
    return hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


@contextmanager
def _sigstore(purpose: str) -> Iterator[None]:
    try:
        yield
    except (BundleError, InputError):
        raise
    except Exception as error:  # sigstore, tuf and requests have no common base class
        reason = str(error) or type(error).__name__
        raise InputError(
            f"Sigstore cannot {purpose}: {reason}. Its public services must be reachable; or use --key"
        ) from error


def _library(name: str) -> Any:
    """A module of model-signing, which only this needs."""
    try:
        return importlib.import_module(f"model_signing.{name}")
    except ModuleNotFoundError as error:
        raise InputError(
            f"this needs the package {error.name}, which is not installed; in Tuneship's folder: pip install '.[sign]'"
        ) from error
