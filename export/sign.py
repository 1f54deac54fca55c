"""Signing, and Sigstore identities, with OpenSSF's model-signing package (the extra ``sign``).

`serving.bundle.signature` checks a signature by key without it.
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
from serving.errors import BundleError, InputError, UserError


class SigningUnavailable(UserError):
    """A package or a service that signing needs is missing."""


def sign_with_key(root: Path, private_key: Path, password: str | None = None) -> None:
    """A private key in PEM: P-256, P-384 or P-521.

    Raises BundleError for an altered bundle, InputError for an unusable key.
    """
    signing = _import_library("signing")
    try:
        # The package declares the password as a text, but passes it to a function that requires bytes.
        secret = password.encode() if password else None
        config = signing.Config().use_elliptic_key_signer(private_key=private_key, password=secret)
    except OSError as error:
        raise InputError(f"{private_key} cannot be read: {error.strerror}", field="--key") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{private_key} is not a private key that can sign: {error}", field="--key") from error
    _sign(root, config)


def sign_with_identity(root: Path, *, token: str | None = None, trust_config: Path | None = None) -> None:
    """As a Sigstore identity.

    Args:
        token: an OpenID token; by default a CI job's, or from a browser.
        trust_config: of a private Sigstore.

    Raises BundleError for an altered bundle, SigningUnavailable if Sigstore does not sign.
    """
    signing = _import_library("signing")
    with _translate_errors("sign"):
        config = signing.Config().use_sigstore_signer(
            identity_token=token, use_ambient_credentials=True, trust_config=trust_config
        )
        _sign(root, config)


def verify_identity(bundle: Bundle, identity: str, provider: str, *, trust_config: Path | None = None) -> None:
    """Check that a Sigstore identity signed every file.

    Args:
        identity: an e-mail address or workload URI.
        provider: its OpenID provider, such as ``https://accounts.google.com``.
        trust_config: of a private Sigstore.

    Raises BundleError for a missing or wrong signature, SigningUnavailable without Sigstore.
    """
    verifying, hashing = _import_library("verifying"), _import_library("hashing")
    if not (bundle.root / SIGNATURE).is_file():
        raise BundleError(f"{bundle.root} is not signed: it has no {SIGNATURE}. Sign it: tuneship sign BUNDLE")
    with _translate_errors("check an identity"):
        config = verifying.Config().use_sigstore_verifier(
            identity=identity, oidc_issuer=provider, trust_config=trust_config
        )
    # Replaces the signer's own list of ignored files: every file must be covered.
    config.set_hashing_config(_hash_every_file(hashing))
    try:
        config.verify(bundle.root, bundle.root / SIGNATURE)
    except Exception as error:  # the libraries raise many kinds; each means an invalid signature
        message = f"{bundle.root}: {SIGNATURE} is not a valid signature by {identity} of {provider}: {error}"
        raise BundleError(message) from error


def _sign(root: Path, config: Any) -> None:
    bundle = Bundle.open(root)
    config.set_hashing_config(_hash_every_file(_import_library("hashing")))
    # Written outside the bundle first, so that the bundle never contains a partial signature.
    with tempfile.TemporaryDirectory(dir=bundle.root.resolve().parent, prefix=f".{SIGNATURE}.") as folder:
        config.sign(bundle.root, Path(folder) / SIGNATURE)
        (Path(folder) / SIGNATURE).replace(bundle.root / SIGNATURE)


def _hash_every_file(hashing: Any) -> Any:
    """All but the signature."""
    return hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


@contextmanager
def _translate_errors(action: str) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # sigstore, tuf and requests have no common base class
        reason = str(error) or type(error).__name__
        raise SigningUnavailable(
            f"Sigstore cannot {action}: {reason}. Its public services must be reachable; or use --key"
        ) from error


def _import_library(name: str) -> Any:
    try:
        return importlib.import_module(f"model_signing.{name}")
    except ModuleNotFoundError as error:
        raise SigningUnavailable(
            f"signing needs the package {error.name}, which is not installed; in Tuneship's folder: "
            "pip install 'tuneship[sign]'"
        ) from error
