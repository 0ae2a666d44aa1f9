"""The API key and the TLS files of a sandbox."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.sandbox.settings import SandboxSettings, new_api_key
from gridbyoc.stack.files import write_atomic
from gridbyoc.stack.secret import Secret


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: what clients trust, and what the server shows."""

    ca: Path
    certificate: Path
    key: Path


def api_key_for(settings: SandboxSettings) -> Secret:
    """The key that was asked for; else the one kept in the state directory; else a new one, kept there."""
    if settings.state_dir is None:
        return settings.api_key or new_api_key()
    kept = settings.state_dir / "api-key"
    if settings.api_key is None and kept.exists():
        return Secret(kept.read_text().strip())
    key = settings.api_key or new_api_key()
    write_atomic(kept, key.reveal().encode() + b"\n")
    return key


def make_tls_files(directory: Path) -> TlsFiles:
    """A self-signed certificate for 127.0.0.1 and localhost, valid for a week: its own CA."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gridbyoc sandbox")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    files = TlsFiles(directory / "ca.pem", directory / "ca.pem", directory / "tls-key.pem")
    files.certificate.write_bytes(certificate.public_bytes(pem))
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    write_atomic(files.key, key.private_bytes(pem, pkcs8, plain))
    return files
