"""The scenes of the demo. Each expects what it tells, and fails when it does not happen."""

import base64
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cryptography import x509

from hack.cluster import ApiRefused, Cluster, HollowNode
from hack.cluster.requests import CSRS
from hack.demo.story import StepFailed, Story
from hack.operator_process import OperatorProcess

ENROLLMENTS = "/apis/nodegate.dev/v1alpha1/nodeenrollments"
SECRETS = "/api/v1/namespaces/kube-system/secrets"

ONE_NODE = """
    apiVersion: nodegate.dev/v1alpha1
    kind: NodeEnrollment
    metadata:
      name: node-d
    spec:
      addresses: [10.0.0.8]
      bootstrap:
        token: {issue: true, ttl: 30m}
      node:
        labels: {node-role.kubernetes.io/worker: "", example.com/rack: r12}
"""


def enrollment(name: str, address: str, token_id: str) -> str:
    """Return the manifest of one enrollment."""
    return f"""
        apiVersion: nodegate.dev/v1alpha1
        kind: NodeEnrollment
        metadata:
          name: {name}
        spec:
          addresses: [{address}]
          bootstrap:
            tokenID: {token_id}
    """


class Scenes:
    """What the scenes share: the cluster, the story and the nodes so far."""

    def __init__(self, cluster: Cluster, story: Story, operator: OperatorProcess, stack: ExitStack) -> None:
        self.cluster = cluster
        self.story = story
        self.operator = operator
        self.stack = stack
        self.tokens = {token: cluster.bootstrap_token(token) for token in ("aaaaaa", "bbbbbb", "cccccc")}

    def boot(self, name: str, token: str, command: str = "") -> HollowNode:
        """Boot a hollow node (Kubernetes' own kubelet code over a fake runtime) with a bootstrap token."""
        kubeconfig = self.cluster.bootstrap_kubeconfig(self.tokens[token])
        usual = f"kubelet --hostname-override={name} --bootstrap-kubeconfig=…   # with token {token}"
        self.story.command(command or usual)
        return self.stack.enter_context(self.cluster.hollow_node(name, kubeconfig))

    def request_for(self, node: str) -> str:
        """Return the name of the newest first-certificate request for a node."""
        return str(self.story.expect(f"a request for {node}", lambda: self._newest(node)))

    def _newest(self, node: str) -> str | None:
        items: list[Any] = self.cluster.api("GET", CSRS)["items"]
        events = [i for i in items if i["spec"]["signerName"].endswith("client-kubelet")]
        names = [i["metadata"]["name"] for i in events if _asks_for(i, node)]
        return names[-1] if names else None

    def run(self) -> None:
        """Play every scene."""
        node_a = self.join()
        self.serving(node_a)
        self.impostor()
        self.latecomer()
        self.one_node_token()
        self.takeover()
        self.revoked(node_a)
        self.metrics()

    def join(self) -> HollowNode:
        """Let an enrolled node join."""
        story = self.story
        story.scene(
            "A node joins by itself",
            "The platform engineer enrolls node-a: its address, and the one bootstrap token that may ask for it.",
        )
        story.apply(enrollment("node-a", "10.0.0.5", "aaaaaa"))
        story.kubectl("wait", "--for=condition=Ready", "ne/node-a", "--timeout=15s")
        story.say("The node boots and asks for its first certificate; nobody types an approval.")
        node = self.boot("node-a", "aaaaaa")
        story.condition(self.request_for("node-a"), "Approved")
        node.wait_joined(60)
        story.show("\n".join(sorted(path.name for path in Path(node.cert_dir).glob("*.pem"))))
        story.kubectl("get", "nodes")
        story.expect("node-a to be Joined", lambda: "Joined" in self.cluster.kubectl("get", "ne", "node-a").stdout)
        story.kubectl("get", "ne", "-o", "wide")
        story.result("certificate issued, Node Ready, the key recorded in the enrollment")
        return node

    def serving(self, node: HollowNode) -> None:
        """Let the joined node ask for its serving certificate, and for one that is not its own."""
        story = self.story
        story.scene("Its serving certificate is approved, one for the API server's name is not", "")
        good = self.cluster.request_serving(node.kubeconfig, dns=["node-a"], ips=["10.0.0.5"])
        story.say(f"{good} asks for node-a and 10.0.0.5:")
        story.condition(good, "Approved")
        bad = self.cluster.request_serving(node.kubeconfig, dns=["kubernetes.default.svc"], ips=["10.96.0.1"])
        story.say(f"{bad} asks for kubernetes.default.svc and 10.96.0.1:")
        story.condition(bad, "Denied")
        story.result("only what the enrollment lists, never what the cluster itself is called")

    def impostor(self) -> None:
        """Let a node use another node's token."""
        story = self.story
        story.scene(
            "An impostor is refused, with reasons",
            "node-b is enrolled with a token of its own. A machine that holds node-a's token asks to become node-b.",
        )
        story.apply(enrollment("node-b", "10.0.0.6", "bbbbbb"))
        story.kubectl("wait", "--for=condition=Ready", "ne/node-b", "--timeout=15s")
        impostor = self.boot("node-b", "aaaaaa")
        name = self.request_for("node-b")
        condition = story.condition(name, "Denied")
        if condition["reason"] != "TokenMismatch":
            raise StepFailed(f"expected reason TokenMismatch, found {condition['reason']}")
        impostor.stop()
        story.plugin("explain", name, "--as-if-undecided")
        story.result("denied: the token belongs to another enrollment")

    def latecomer(self) -> None:
        """Let a node ask before it is enrolled."""
        story = self.story
        story.scene(
            "An unknown node waits, and joins the moment it is enrolled", "node-c boots before anybody enrolled it."
        )
        node = self.boot("node-c", "cccccc")
        name = self.request_for("node-c")
        story.expect("an event that says why it waits", lambda: self._events(name))
        story.kubectl("get", "csr", name)
        story.command(f"kubectl describe csr {name}   # its events")
        story.show(self._events(name))
        story.say("Now the engineer enrolls it; the kubelet is not restarted.")
        story.apply(enrollment("node-c", "10.0.0.7", "cccccc"))
        story.condition(name, "Approved")
        node.wait_joined(60)
        story.kubectl("get", "nodes")
        story.result("held, then approved: no restart, no second request")

    def one_node_token(self) -> None:
        """Let the operator make a token, join with it, and see it gone."""
        story = self.story
        story.scene(
            "A token for one node, made and deleted by the operator",
            "Nobody makes a token by hand for node-d, and its labels and taints are set for it.",
        )
        story.apply(ONE_NODE)
        story.kubectl("wait", "--for=condition=Ready", "ne/node-d", "--timeout=15s")
        file = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="nodegate-demo-"))) / "bootstrap.conf"
        story.plugin("token", "node-d", "--output-file", str(file), shown="token node-d --output-file bootstrap.conf")
        token_id = self.cluster.api("GET", f"{ENROLLMENTS}/node-d")["status"]["bootstrap"]["tokenID"]
        story.command("kubelet --hostname-override=node-d --bootstrap-kubeconfig=bootstrap.conf")
        node = self.stack.enter_context(self.cluster.hollow_node("node-d", file))
        story.condition(self.request_for("node-d"), "Approved")
        node.wait_joined(60)
        secret = f"{SECRETS}/bootstrap-token-{token_id}"
        story.expect("the token to be deleted", lambda: not self._exists(secret))
        story.command(f"kubectl get secret -n kube-system bootstrap-token-{token_id}")
        story.show(f'Error from server (NotFound): secrets "bootstrap-token-{token_id}" not found')
        story.expect("the label", lambda: "worker" in self.cluster.kubectl("get", "node", "node-d").stdout)
        story.kubectl("get", "node", "node-d", "--label-columns=example.com/rack")
        story.result("the token worked for node-d alone, and is gone; whoever kept a copy gets 401")

    def takeover(self) -> None:
        """Let a machine with the right token ask for the name of a node that works."""
        story = self.story
        story.scene(
            "Nobody takes the place of a node that works",
            "A machine that holds node-c's own token asks to become node-c, which is Ready.",
        )
        thief = self.boot("node-c", "cccccc", command="kubelet --hostname-override=node-c …   # elsewhere, another key")
        name = str(story.expect("its request", lambda: self._undecided("node-c")))
        story.expect("an event that says why it waits", lambda: self._events(name))
        explained = story.plugin("explain", name)
        if "NodeAlreadyJoined" not in explained:
            raise StepFailed("expected verdict Hold for NodeAlreadyJoined, found another")
        thief.stop()
        story.result("held: a Ready node keeps its name, whoever holds its token")

    def _undecided(self, node: str) -> str | None:
        items: list[Any] = self.cluster.api("GET", CSRS)["items"]
        found = [i for i in items if _asks_for(i, node) and not i.get("status", {}).get("conditions")]
        return found[-1]["metadata"]["name"] if found else None

    def _exists(self, path: str) -> bool:
        try:
            self.cluster.api("GET", path)
        except ApiRefused:
            return False
        return True

    def revoked(self, node: HollowNode) -> None:
        """Revoke an enrollment and let its node ask for a renewal."""
        story = self.story
        story.scene("A revoked node gets no new certificate", "node-a was stolen. Its enrollment is revoked.")
        story.kubectl("patch", "ne", "node-a", "--type=merge", "-p", '{"spec":{"state":"Revoked"}}')
        name = self.cluster.request_renewal(node.kubeconfig)
        story.say(f"It asks to renew its client certificate ({name}):")
        story.condition(name, "Denied")
        story.kubectl("get", "ne")
        story.result("denied; what it holds runs out with its lifetime")

    def metrics(self) -> None:
        """Show what Prometheus would scrape."""
        story = self.story
        story.scene("The metrics tell the story", "")
        story.command(f"curl {self.operator.url}/metrics | grep -E '^nodegate_(csr_decisions|csr_held|enrollments)'")
        wanted = ("nodegate_csr_decisions_total", "nodegate_csr_held", "nodegate_enrollments{")
        lines = [line for line in self.operator.get("/metrics")[1].splitlines() if line.startswith(wanted)]
        story.show("\n".join(lines))
        for verdict in ("approve", "deny", "hold"):
            if not self.operator.metric("nodegate_csr_decisions_total", verdict=verdict):
                raise StepFailed(f"expected decisions with verdict {verdict} in the metrics, found none")
        story.result("every change of verdict is counted by signer, kind, verdict and reason")

    def _events(self, name: str) -> str:
        output = self.cluster.kubectl(
            *("get", "events.events.k8s.io", "-n", "default", "--field-selector", f"regarding.name={name}"),
            *("-o", "jsonpath={range .items[*]}{.type}  {.reason}  {.note}{'\\n'}{end}"),
        )
        return str(output.stdout)


def _asks_for(item: Any, node: str) -> bool:
    request = x509.load_pem_x509_csr(base64.b64decode(item["spec"]["request"]))
    return any(attribute.value == f"system:node:{node}" for attribute in request.subject)
