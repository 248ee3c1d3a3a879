"""The rights of joining nodes in a fresh cluster.

Administrator credentials come in; ClusterRoleBindings leave. Rules: bootstrap tokens may ask for certificates
and read their requests, nothing else; the two roles that let the controller manager approve by itself are bound
only when the caller wants that.
"""

from http import HTTPStatus

from hack.cluster.api import call
from hack.cluster.errors import ApiRefused
from hack.cluster.kubeconfig import Credentials

_GROUP = "rbac.authorization.k8s.io"
_BINDINGS = f"/apis/{_GROUP}/v1/clusterrolebindings"
_REQUESTS = "system:certificates.k8s.io:certificatesigningrequests"


def create(credentials: Credentials, *, kcm_approver: bool) -> None:
    """Create the bindings; those that exist stay as they are."""
    _bind(credentials, "nodegate-dev:bootstrap", "system:node-bootstrapper", "system:bootstrappers")
    if kcm_approver:
        _bind(credentials, "nodegate-dev:approve-client", f"{_REQUESTS}:nodeclient", "system:bootstrappers")
        _bind(credentials, "nodegate-dev:approve-renewal", f"{_REQUESTS}:selfnodeclient", "system:nodes")


def _bind(credentials: Credentials, name: str, role: str, group: str) -> None:
    binding = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": _GROUP, "kind": "Group", "name": group}],
    }
    try:
        call(credentials, "POST", _BINDINGS, binding)
    except ApiRefused as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
