"""A real Kubernetes control plane on loopback, for people, the demo and tests.

`with Cluster() as cluster:` starts etcd, kube-apiserver and kube-controller-manager of pinned versions, found
or built, in a few seconds, and ends them whatever happens. `python -m hack.cluster up` does it for people.
Needs: the standard library, cryptography and PyYAML; Linux for the promise that nothing outlives its caller.
"""

from hack.cluster.cluster import Cluster
from hack.cluster.errors import ApiRefused, ClusterError, KubectlFailed, NotBuildable, PartFailed
from hack.cluster.nodes import HollowNode
from hack.cluster.process import Component
from hack.cluster.requests import make_csr, node_credentials

__all__ = [
    "ApiRefused",
    "Cluster",
    "ClusterError",
    "Component",
    "HollowNode",
    "KubectlFailed",
    "NotBuildable",
    "PartFailed",
    "make_csr",
    "node_credentials",
]
