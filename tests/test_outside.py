"""What the server fetches for its users: to which addresses it goes, also after redirects, and for how long."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

from mlteam import outside
from tests.server import PATIENCE

LOOPBACK = [ip_network("127.0.0.1/32")]


class Answers(BaseHTTPRequestHandler):
    """/to/ADDRESS sends on to there, /slow drips for ever, anything else is answered with itself."""

    def do_GET(self):
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", f"http://{self.path.removeprefix('/to/')}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(200)
        if self.path == "/slow":
            self.flush_headers()
            return self._drip()
        self.send_header("Content-Length", str(len(self.path)))
        self.end_headers()
        self.wfile.write(self.path.encode())

    def _drip(self):
        try:
            while True:
                self.wfile.write(b"X-More: and more\r\n")
                time.sleep(0.05)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


def served(host: str) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer((host, 0), Answers)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


@pytest.fixture(scope="module")
def here():
    """host:port of a server on 127.0.0.1."""
    server = served("127.0.0.1")
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def there():
    """host:port of one on another address of loopback."""
    server = served("127.0.0.2")
    yield f"127.0.0.2:{server.server_port}"
    server.shutdown()
    server.server_close()


def why(error: BaseException, host: str = "the host") -> str:
    return outside.explain(error, host)


PUBLIC = [
    "1.1.1.1",
    "64:ff9b::1.1.1.1",
    "93.184.216.34",
    "2606:4700::1111",
    "2a00:1450:4001:828::200e",
    "::ffff:1.1.1.1",
]
PRIVATE = [
    *(
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
    ),
    *("100.64.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255"),
    *(
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12::1",
        "fec0::1",
        "ff02::1",
    ),
    *("2001:db8::1", "100::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *("::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1"),
    "2001:0:4136:e378:8000:63bf:3f57:fefe",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_reached(address):
    assert outside.reachable(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_nothing_else_is_however_it_is_written(address):
    assert not outside.reachable(address)


def test_the_installation_can_allow_networks(settings):
    settings.MLTEAM_REACHABLE = [ip_network("10.1.0.0/16"), ip_network("fd00::/8")]
    allowed = ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd12::1"]
    assert all(map(outside.reachable, allowed))
    assert not any(map(outside.reachable, ["10.2.0.1", "::ffff:10.2.0.1", "fe80::1", "127.0.0.1"]))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "0"])
def test_a_private_address_is_refused_by_any_of_its_names(host, here):
    port = here.rpartition(":")[2]
    with pytest.raises(requests.ConnectionError) as caught, outside.session() as session:
        session.get(f"http://{host}:{port}/")
    assert "private network" in why(caught.value) and "MLTEAM_REACHABLE" in why(caught.value)


def test_what_is_allowed_is_reached_and_a_redirect_leads_no_further(settings, here, there):
    settings.MLTEAM_REACHABLE = LOOPBACK
    with outside.session() as session:
        assert session.get(f"http://{here}/hello").text == "/hello"
        assert session.get(f"http://{here}/to/{here}/again").text == "/again"
        with pytest.raises(requests.ConnectionError) as caught:
            session.get(f"http://{here}/to/{there}/secret")
        assert "127.0.0.2 is in a private network" in why(caught.value)
        with pytest.raises(requests.exceptions.InvalidSchema):
            session.get(f"http://{here}").history  # noqa: B018
            session.get("file:///etc/passwd")


def test_a_name_is_looked_up_when_it_is_connected_to(settings, here, monkeypatch):
    """A name that means a public address when one looks, and a private one a moment later."""
    settings.MLTEAM_REACHABLE = []
    port = int(here.rpartition(":")[2])
    asked, real = [], socket.getaddrinfo

    def turning(host, *args, **options):
        asked.append(host)
        return real("192.0.2.1" if len(asked) > 1 else "127.0.0.1", *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", turning)
    with pytest.raises(requests.ConnectionError) as caught, outside.session() as session:
        session.get(f"http://turning.example:{port}/")
    assert asked == ["turning.example"] and "private network" in why(caught.value)


def test_proxies_of_the_environment_are_not_asked(settings, here, there, monkeypatch):
    settings.MLTEAM_REACHABLE = LOOPBACK
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{there}")
    with outside.session() as session:
        assert session.get(f"http://{here}/hello").text == "/hello"
        assert session.get(f"http://{here}/hello", proxies={"http": f"http://{there}"}).text == "/hello"


def test_who_answers_for_ever_is_cut_off(settings, here):
    settings.MLTEAM_REACHABLE = LOOPBACK
    with pytest.raises(TimeoutError) as caught, outside.within(0.3), outside.session() as session:
        session.get(f"http://{here}/slow")
    assert "did not answer in time" in why(caught.value)
    with outside.within(PATIENCE), outside.session() as session:
        assert session.get(f"http://{here}/hello").text == "/hello"


def test_what_went_wrong_is_said(settings, here):
    settings.MLTEAM_REACHABLE = LOOPBACK
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{unused.getsockname()[1]}"
    with outside.session() as session:
        for address, said in {
            f"http://{closed}/": "the connection was refused",
            f"https://{here}/": "TLS",
            "http://nowhere.invalid/": "no host called",
            f"http://{'x' * 80}.example/": "no host called",
        }.items():
            with pytest.raises(requests.RequestException) as caught:
                session.get(address)
            assert said in why(caught.value), address


def test_a_client_of_boto3_goes_no_further_either(settings, here):
    options = Config(retries={"total_max_attempts": 1}, connect_timeout=PATIENCE, read_timeout=PATIENCE)
    keys = {"aws_access_key_id": "AKIA1234", "aws_secret_access_key": "12345678", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=f"http://{here}", config=options, **keys)
    outside.check_boto(client)
    with pytest.raises(EndpointConnectionError) as caught:
        client.get_object(Bucket="bucket", Key="key")
    assert "private network" in why(caught.value)
    settings.MLTEAM_REACHABLE = LOOPBACK
    assert client.get_object(Bucket="bucket", Key="key")["Body"].read().startswith(b"/")
