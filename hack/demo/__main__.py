"""``python -m hack.demo``: starts everything, plays the scenes, cleans up; exit status 1 when a step fails."""

import sys
import tempfile
import textwrap
from contextlib import ExitStack
from pathlib import Path

from hack.cluster import Cluster
from hack.cluster.errors import ClusterError
from hack.demo.scenes import Scenes
from hack.demo.story import StepFailed, Story
from hack.operator_process import OperatorProcess

ROOT = Path(__file__).resolve().parents[2]
LOG_LINES = 15
FLAGS = ("--issue-tokens", "--manage-nodes")


def main() -> int:
    """Play the demo."""
    print(
        "nodegate: nodes join a real control plane by themselves. First run: the control plane is built (10 minutes)."
    )
    with ExitStack() as stack:
        operator: OperatorProcess | None = None
        try:
            cluster = stack.enter_context(Cluster(log=lambda text: print(f"   {text}", flush=True)))
            story = Story(cluster)
            operator = start_operator(cluster, story, stack)
            Scenes(cluster, story, operator, stack).run()
        except (StepFailed, ClusterError, TimeoutError) as error:
            print(f"\nThe demo failed: {error}", file=sys.stderr)
            if operator is not None:
                tail = "\n".join(operator.log_text().splitlines()[-LOG_LINES:])
                print(f"The operator's last lines:\n{textwrap.indent(tail, '  ')}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nInterrupted; stopping what was started.", file=sys.stderr)
            return 130
    story.finish()
    return 0


def start_operator(cluster: Cluster, story: Story, stack: ExitStack) -> OperatorProcess:
    """Install the shipped manifests and run the operator with exactly the rights that they grant."""
    story.scene(
        "Install",
        "The shipped manifests: the NodeEnrollment kind, the ServiceAccount, its rights, and the policies that fence "
        "it in. There is no kubelet yet to run the Deployment's pod, so the operator runs here as that ServiceAccount.",
    )
    story.command("kubectl apply -k manifests/overlays/full")
    applied = cluster.kubectl("apply", "-k", str(ROOT / "manifests/overlays/full")).stdout
    story.show(f"{len(applied.splitlines())} objects, among them:\n{_kinds(applied)}")
    cluster.kubectl("wait", "--for=condition=Established", "crd/nodeenrollments.nodegate.dev", "--timeout=30s")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nodegate-demo-")))
    kubeconfig = cluster.service_account_kubeconfig("nodegate-system", "nodegate", folder / "kubeconfig")
    operator = OperatorProcess(kubeconfig, folder, ("--log-format", "text", *FLAGS))
    stack.callback(operator.stop)
    story.command(f"nodegate operator --kubeconfig … --listen {operator.url.removeprefix('http://')} {' '.join(FLAGS)}")
    operator.start()
    operator.wait_ready(30)
    story.result("ready: /readyz says ok")
    return operator


def _kinds(applied: str) -> str:
    """Return the lines about the kind itself, the operator and its policies, out of what `kubectl apply` says."""
    wanted = ("customresourcedefinition", "deployment", "validatingadmissionpolicy.", "clusterrole.")
    return "\n".join(line for line in applied.splitlines() if line.startswith(wanted))


if __name__ == "__main__":
    sys.exit(main())
