"""A Kubernetes API that knows kinds and a few objects: enough for what helm looks up."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from devstack.chart import NAMESPACE, Object
from devstack.ports import LOOPBACK

Answers = dict[str, Any]


@contextmanager
def serving(
    known: Sequence[Object], there: Sequence[Object] = (), *, version: str
) -> Iterator[str]:
    """The URL of one that knows the kinds of `known`, and has the objects `there`."""
    answers = _answers(known, there, version)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0])
            missing = {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(found or missing).encode()
            self.send_response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: tests read helm's words."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answers(known: Sequence[Object], there: Sequence[Object], version: str) -> Answers:
    major, minor = version.split(".")
    kinds = sorted({(each["apiVersion"], each["kind"]) for each in (*known, *there)})
    found: Answers = {
        "/version": {"major": major, "minor": minor, "gitVersion": f"v{version}.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    }
    for group_version in dict.fromkeys(name for name, _ in kinds):
        found[_root(group_version)] = {
            "kind": "APIResourceList",
            "groupVersion": group_version,
            "resources": [
                {"name": _plural(kind), "kind": kind, "namespaced": True, "verbs": ["get"]}
                for name, kind in kinds
                if name == group_version
            ],
        }
        group, slash, short = group_version.rpartition("/")
        if slash:
            one = {"groupVersion": group_version, "version": short}
            group_info = {"name": group, "versions": [one], "preferredVersion": one}
            found["/apis"]["groups"].append(group_info)
    for each in there:
        path = f"{_root(each['apiVersion'])}/namespaces/{NAMESPACE}/{_plural(each['kind'])}"
        found[f"{path}/{each['metadata']['name']}"] = each
    return found


def _root(group_version: str) -> str:
    return f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"


def _plural(kind: str) -> str:
    """Any name will do that is the same here and in what helm asks for: it is told these."""
    return f"{kind.lower()}s"
