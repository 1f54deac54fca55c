"""Check ``model.sig``, a signature in OpenSSF's model-signing format, against a public key.

A Sigstore bundle with a DSSE envelope with an in-toto statement of each file's sha256
(https://github.com/sigstore/model-transparency, https://github.com/secure-systems-lab/dsse). `export.sign` signs.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from serving.bundle.bundle import Bundle
from serving.bundle.manifest import MANIFEST, SIGNATURE
from serving.errors import BundleError, InputError, first_problem
from serving.files import read_regular

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

MOST_BYTES = 16 * 2**20
"""Of a signature, which has a line for each file, and of a key."""

PAYLOAD_TYPE = "application/vnd.in-toto+json"
DIGESTS = {256: "SHA256", 384: "SHA384", 521: "SHA512"}
"""Curve bits to hash, as in Sigstore."""


def _decode(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:  # unused bits after the last byte were altered
        raise ValueError("not the one base64 form of its bytes")
    return data


Base64 = Annotated[bytes, BeforeValidator(_decode)]


class _StrictModel(BaseModel):
    """Strict outside the signed statement."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, defer_build=True)


class _PublicKey(_StrictModel):
    hint: str


class _Material(_StrictModel):
    public_key: _PublicKey
    tlog_entries: list[str] = Field(default=[], max_length=0)


class _Signature(_StrictModel):
    sig: Base64
    keyid: Literal[""] = ""


class _Envelope(_StrictModel):
    payload: Base64
    payload_type: Literal["application/vnd.in-toto+json"]
    signatures: list[_Signature] = Field(min_length=1, max_length=1)


class _SignatureFile(_StrictModel):
    media_type: Literal["application/vnd.dev.sigstore.bundle.v0.3+json"]
    verification_material: _Material
    dsse_envelope: _Envelope


class _Resource(BaseModel):
    name: str
    algorithm: Literal["sha256"]
    digest: str


class _Predicate(BaseModel):
    resources: list[_Resource]


class _Statement(BaseModel):
    predicate_type: Literal["https://model_signing/signature/v1.0"] = Field(alias="predicateType")
    predicate: _Predicate


def require_signature(bundle: Bundle, key: Path) -> None:
    """Check that a public key (P-256, P-384 or P-521, in PEM) signed every file of an opened bundle.

    Raises:
        InputError: ``key`` is another file.
        BundleError: the signature is missing, altered or another key's, or does not cover the files.
    """
    public = load_public_key(key)
    envelope = _read(bundle)
    if envelope.verification_material.public_key.hint != fingerprint(public):
        raise BundleError(f"{bundle.root}: {SIGNATURE} was not made with the private key that belongs to {key}.")
    _verify(public, envelope.dsse_envelope, bundle)
    _compare_files(_signed_files(envelope.dsse_envelope, bundle), bundle)


def describe_signature(bundle: Bundle, key: Path | None = None) -> str:
    """In words; checked where there is a ``key``, which raises as `require_signature`."""
    if key:
        require_signature(bundle, key)
        return f"verified with {key.name}"
    if (bundle.root / SIGNATURE).is_file():
        return "signed; not verified, as no key was given (--require-signature)"
    return "not signed (tuneship sign)"


def require_recent(bundle: Bundle, created_after: datetime) -> None:
    """Raise BundleError for a bundle that was exported before; the date is in the manifest, which is signed."""
    if bundle.manifest.time < created_after:
        raise BundleError(
            f"{bundle.root}: was exported at {bundle.manifest.created}, before {created_after.isoformat()}, the"
            " earliest that is accepted: an older version was put back. Serve a newer one, or move the date."
        )


def load_public_key(path: Path) -> EllipticCurvePublicKey:
    """Read a PEM file; raises InputError."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    accepted = "a public key on the curve P-256, P-384 or P-521 in PEM is accepted"
    try:
        key = load_pem_public_key(read_regular(path, MOST_BYTES))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); {accepted}", field="key") from error
    except ValueError as error:
        raise InputError(f"{path} holds no public key in PEM; {accepted}", field="key") from error
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name not in ("secp256r1", "secp384r1", "secp521r1"):
        raise InputError(f"{path} holds another kind of key; {accepted}", field="key")
    return key


def fingerprint(key: EllipticCurvePublicKey) -> str:
    """sha256 of the key in PEM; a signature's hint."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _read(bundle: Bundle) -> _SignatureFile:
    path = bundle.root / SIGNATURE
    if not path.is_file():
        raise BundleError(
            f"{bundle.root} is not signed: it has no {SIGNATURE}. Sign it: tuneship sign BUNDLE --key KEY"
        )
    try:
        return _SignatureFile.model_validate_json(read_regular(path, MOST_BYTES))
    except OSError as error:
        raise BundleError(f"{bundle.root}: {SIGNATURE} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise BundleError(
            f"{bundle.root}: {SIGNATURE} was altered, or is not a signature by a key ({first_problem(error)})."
        ) from error


def _verify(key: EllipticCurvePublicKey, envelope: _Envelope, bundle: Bundle) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

    digest = getattr(hashes, DIGESTS[key.curve.key_size])()
    try:
        key.verify(envelope.signatures[0].sig, _encode(envelope.payload), ECDSA(digest))
    except InvalidSignature as error:
        raise BundleError(f"{bundle.root}: {SIGNATURE} was altered: the signature in it does not hold.") from error


def _encode(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding, which is signed."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def _signed_files(envelope: _Envelope, bundle: Bundle) -> dict[str, str]:
    try:
        statement = _Statement.model_validate_json(envelope.payload)
    except ValidationError as error:
        raise BundleError(
            f"{bundle.root}: {SIGNATURE} lists no files by sha256 ({first_problem(error)}). Sign with tuneship sign."
        ) from error
    return {each.name: each.digest for each in statement.predicate.resources}


def _compare_files(signed: dict[str, str], bundle: Bundle) -> None:
    manifest = hashlib.sha256(bundle.manifest.to_bytes()).hexdigest()
    found = {MANIFEST: manifest, **{name: entry.sha256 for name, entry in bundle.manifest.files.items()}}
    for name in sorted(signed.keys() | found.keys()):
        if signed.get(name) != found.get(name):
            what = "is not covered by" if name not in signed else "is not the file that was signed in"
            raise BundleError(f"{bundle.root}: {name} {what} {SIGNATURE}. Do not serve it, or sign it anew.")
