"""Programs that tests/cluster runs inside pods, with a pod's own rights; each prints its finding.

They are text, for they travel over `kubectl exec python -`; devstack/tests runs them here as well.
"""

NATS_FOLDER = "/etc/vitrine/nats"
"""Where a pod has its NATS identity."""

SELF = """
import json, os, pathlib
def writable(folder):
    try:
        tried = pathlib.Path(folder, ".tried")
        tried.write_text("x")
        tried.unlink()
    except OSError:
        return False
    return True
lines = pathlib.Path("/proc/self/status").read_text().splitlines()
status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
print(json.dumps({
    "uid": os.getuid(),
    "capabilities": status["CapEff"],
    "no_new_privileges": status["NoNewPrivs"],
    "seccomp": status["Seccomp"],
    "token": os.path.exists("/var/run/secrets/kubernetes.io/serviceaccount/token"),
    "writable": [each for each in ("/", "/app", "/opt/venv", "/etc/vitrine") if writable(each)],
    "tmp": writable("/tmp"),
}))
"""

_WITHOUT_CERTIFICATE = """
import socket, ssl
plain = socket.create_connection(("{host}", {port}), 5)
assert b'"tls_required":true' in plain.recv(65536).replace(b" ", b""), "speaks without TLS"
try:
    context = ssl.create_default_context(cafile="{folder}/ca.crt")
    secret = context.wrap_socket(plain, server_hostname="{host}")
    secret.sendall(b"CONNECT {{}}\\r\\nPING\\r\\n")
    said = secret.recv(1000)
except ssl.SSLCertVerificationError:
    raise
except OSError as error:
    said = repr(error).encode()
print("let in" if b"PONG" in said else "refused")
"""

_AS_USER = """
import asyncio, pathlib
from chassis.broker import Broker, Identity
async def main():
    identity = Identity.in_folder(pathlib.Path("{folder}"), "{user}")
    refused = []
    broker = await Broker.connect(
        "{url}", name="{user}", on_fatal=refused.append, identity=identity)
    await broker.nc.publish("{subject}", b"")
    await broker.nc.flush()
    await asyncio.sleep(1)
    told = [each for each in refused if "{subject}".lower() in each.lower()]
    await broker.close()
    print("refused" if told else "allowed")
asyncio.run(main())
"""

_REACH = """
import socket
socket.getaddrinfo("{host}", {port})
try:
    socket.create_connection(("{host}", {port}), 5).close()
    print("reached")
except OSError:
    print("cut")
"""


def without_certificate(host: str, port: int = 4222, folder: str = NATS_FOLDER) -> str:
    """Prints `refused` or `let in`; fails where there is no TLS, or a strange certificate."""
    return _WITHOUT_CERTIFICATE.format(host=host, port=port, folder=folder)


def publish_as(user: str, url: str, subject: str, folder: str = NATS_FOLDER) -> str:
    """Prints `allowed` or `refused`."""
    return _AS_USER.format(user=user, url=url, subject=subject, folder=folder)


def reach(host: str, port: int) -> str:
    """Its finding is read by `was_reached`; fails where nobody has that name."""
    return _REACH.format(host=host, port=port)


def was_reached(said: str) -> bool:
    """What `reach` found. Raises ValueError when it found nothing."""
    findings = {"reached": True, "cut": False}
    last = said.strip().rpartition("\n")[2]
    if last not in findings:
        raise ValueError(f"no finding of `reach`: {said!r}")
    return findings[last]
