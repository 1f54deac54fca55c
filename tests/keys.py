"""Keys to sign bundles with, as openssl would make them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

CURVES: dict[str, type[ec.EllipticCurve]] = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}


@dataclass(frozen=True)
class KeyPair:
    """Two PEM files that belong together."""

    private: Path
    public: Path


def make_keys(folder: Path, curve: str = "P-256", password: bytes | None = None) -> KeyPair:
    """A new pair in a folder of its own."""
    folder.mkdir(parents=True)
    key = ec.generate_private_key(CURVES[curve]())
    encryption: KeySerializationEncryption = BestAvailableEncryption(password) if password else NoEncryption()
    pair = KeyPair(folder / "private.pem", folder / "public.pem")
    pair.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    pair.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return pair
