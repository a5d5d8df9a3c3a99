"""nginx that ends TLS in front of a server, as most webhooks are served."""

from __future__ import annotations

import os
import shutil
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import trustme

from integrations.served import Served, free_port, served

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

HOST = "example.com"  # what Twilio would call; the tests connect to loopback

# What proxies are told to say of a request; as if it came from elsewhere, to the port that Twilio
# calls.
FORWARDED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "$scheme",
    "X-Forwarded-Host": "$http_host",
    "X-Forwarded-Port": "443",
}

_CONFIGURATION = """\
{user}
worker_processes 1;
error_log stderr;
pid {folder}/nginx.pid;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    server_name {host};
    ssl_certificate {folder}/chain.pem;
    ssl_certificate_key {folder}/key.pem;
    location / {{
      proxy_pass http://{upstream};
      proxy_http_version 1.1;
      {headers}
    }}
  }}
}}
"""


class Proxy(NamedTuple):
    """A running nginx: its *address*, what a client trusts (*tls*), and the *process*."""

    address: tuple[str, int]
    tls: ssl.SSLContext
    process: Served


@contextmanager
def nginx(
    upstream: tuple[str, int],
    folder: Path,
    *,
    headers: Mapping[str, str] = FORWARDED,
    host: str = HOST,
) -> Iterator[Proxy]:
    """Serve *upstream* as ``https://host``; *headers* are added to what goes there.

    nginx hands the path and the query over as they came. The Host header becomes the address of
    *upstream*, which is nginx's own default, unless *headers* says otherwise (``$http_host``).
    """
    port = free_port()
    folder = folder / f"nginx-{port}"
    folder.mkdir()
    tls = _certificates(folder, host)
    text = _CONFIGURATION.format(
        folder=folder,
        port=port,
        host=host,
        upstream="{}:{}".format(*upstream),
        headers="\n      ".join(f"proxy_set_header {k} {v};" for k, v in headers.items()),
        user="user root;" if os.geteuid() == 0 else "",  # pytest's folders are their owner's alone
    )
    (folder / "nginx.conf").write_text(text)
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "nginx is not there: install Debian's nginx-light"
    argv = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    with served(argv, port=port, cwd=folder) as process:  # plain HTTP gets a 400: it is there
        yield Proxy(process.address, tls, process)


def _certificates(folder: Path, host: str) -> ssl.SSLContext:
    authority = trustme.CA()
    certificate = authority.issue_cert(host)
    (folder / "key.pem").touch(mode=0o600)
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "chain.pem").write_bytes(b"".join(c.bytes() for c in certificate.cert_chain_pems))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
