"""What an installation on Kubernetes calls its NATS and the Secrets of its keys."""

from __future__ import annotations

import argparse
from typing import NamedTuple

CHART = "vitrine"
SECRET_PREFIX = "vitrine-nats-"  # noqa: S105 - a name
NAME_CHARACTERS_MAX = 30
CLUSTER_ENDS = ("", ".svc", ".svc.cluster.local")
COPY = (
    "kubectl -n {namespace} get secret {server} -o json "
    "| jq '.metadata |= {{name}}' | kubectl -n nats apply -f -"
)
RESTART = "kubectl -n {namespace} rollout restart statefulset/{fullname}-nats"
AGAIN = (
    "kubectl -n {namespace} get secrets,configmaps -o json "
    "| vitrine keys --namespace {namespace}{options} --rotate | kubectl apply -f -"
)


class Installation(NamedTuple):
    namespace: str
    release: str = CHART
    secret_prefix: str = SECRET_PREFIX
    """`nats.secretPrefix` of the chart's values."""

    @property
    def fullname(self) -> str:
        """As the chart has it (templates/_names.tpl)."""
        whole = self.release if CHART in self.release else f"{self.release}-{CHART}"
        return whole[:NAME_CHARACTERS_MAX].removesuffix("-")

    def secret(self, user: str) -> str:
        return f"{self.secret_prefix}{user}"

    def server_names(self) -> tuple[str, ...]:
        """What clients call nats-server: that of the chart, and that of its own chart."""
        ours = f"{self.fullname}-nats"
        return (
            "localhost",
            "127.0.0.1",
            ours,
            "nats",
            *(
                f"{place}{end}"
                for place in (f"{ours}.{self.namespace}", "nats.nats")
                for end in CLUSTER_ENDS
            ),
            *(f"*.nats-headless.nats{end}" for end in CLUSTER_ENDS),
            *(f"nats-headless.nats{end}" for end in CLUSTER_ENDS),
        )

    def commands(self, server: str) -> dict[str, str]:
        """What an operator runs after a step of a rotation. `server`: of its Secret."""
        options = f" --release {self.release}" if self.release != CHART else ""
        if self.secret_prefix != SECRET_PREFIX:
            options += f" --secret-prefix {self.secret_prefix}"
        known = {
            "namespace": self.namespace,
            "server": self.secret(server),
            "fullname": self.fullname,
            "options": options,
        }
        return {
            name: text.format(**known)
            for name, text in (("copy", COPY), ("restart", RESTART), ("again", AGAIN))
        }


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--namespace", required=True, help="where Vitrine runs")
    parser.add_argument(
        "--release", default=CHART, metavar="NAME", help="of helm, where it is not vitrine"
    )
    parser.add_argument(
        "--secret-prefix",
        default=SECRET_PREFIX,
        metavar="PREFIX",
        help="nats.secretPrefix, where it is not that of the chart",
    )


def of(given: argparse.Namespace) -> Installation:
    return Installation(given.namespace, given.release, given.secret_prefix)
