"""An https server with faults, whose certificate this process and its children trust."""

from __future__ import annotations

import gzip
import hashlib
import random
import shutil

import pytest
from faulty_server import FaultyServer, make_certificates

from cnn_from_scratch.data import download, transfer
from cnn_from_scratch.data.download import RemoteFile

CONTENT = random.Random(0).randbytes(50_000)
PACKED = gzip.compress(CONTENT)


def remote(*urls, **changes):
    """A published file that holds CONTENT."""
    return RemoteFile("file.gz", urls, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))._replace(**changes)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("the tests of downloads make a certificate with openssl")
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def server(certificates, monkeypatch, tmp_path):
    monkeypatch.setattr(download, "_BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(transfer, "_TIMEOUT_SECONDS", 5.0)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates[0]))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = FaultyServer(PACKED, certificates[1])
    server.folder = tmp_path
    yield server
    server.close()
