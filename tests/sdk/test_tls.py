"""Certificates: a server is believed when somebody whom we trust vouches for it, and not otherwise."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.sdk.loopback import Loopback, Says


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """The certificate that vouches for localhost; its key lies beside it."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
    )
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "authority.pem"
    path.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def secure(authority: Path) -> Iterator[Loopback]:
    """A server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, authority.with_name("key.pem"))
    with Loopback(context) as server:
        server.say(Says(data={"ok": 1}))
        yield server


def test_a_certificate_of_ones_own_authority_is_believed(secure, authority, monkeypatch):
    from mlteam_sdk.sync import MLTeam

    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with MLTeam(url=secure.url, token="mlt_x") as client:
        assert client.get("/me") == {"ok": 1}


def test_another_is_not(secure):
    from mlteam_sdk import ConnectionFailed
    from mlteam_sdk.sync import MLTeam

    with MLTeam(url=secure.url, token="mlt_x") as client, pytest.raises(ConnectionFailed, match="SSL_CERT_FILE"):
        client.get("/me")
    assert secure.asked == []


def test_nor_the_right_one_under_another_name(secure, authority, monkeypatch):
    from mlteam_sdk import ConnectionFailed
    from mlteam_sdk.sync import MLTeam

    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    other = secure.url.replace("localhost", "127.0.0.1")
    with MLTeam(url=other, token="mlt_x") as client, pytest.raises(ConnectionFailed, match="certificate"):
        client.get("/me")
    assert secure.asked == []


def test_an_authority_that_is_not_there_is_said(secure, monkeypatch):
    from mlteam_sdk import MLTeamError
    from mlteam_sdk.sync import MLTeam

    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/authority.pem")
    with MLTeam(url=secure.url, token="mlt_x") as client, pytest.raises(MLTeamError, match="SSL_CERT_FILE"):
        client.get("/me")


def test_a_proxy_that_is_none_is_said(monkeypatch):
    from mlteam_sdk import SettingsError
    from mlteam_sdk.sync import MLTeam

    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy")
    with MLTeam(url="https://localhost:1", token="mlt_x") as client, pytest.raises(SettingsError, match="proxy"):
        client.get("/me")
