"""A cluster under examination: a path or a right goes in, objects or an answer come out, each asked once.

Rules: reads only; a SubjectAccessReview is a question that the API server keeps nowhere. What could not
be read is remembered as well, so that a missing right costs one request and not one a check.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from nodegate.cli.cluster_facts import REQUEST_VERSION, REQUESTS, Read, read_objects
from nodegate.cli.connection import Connection
from nodegate.cli.facts import Facts, gather
from nodegate.errors import ApiError
from nodegate.fields import Fields
from nodegate.names import BOOTSTRAP_GROUP, EVERYBODY_GROUP

Body = Mapping[str, Any]
"""An object as the API server gives it."""

Answer = TypeVar("Answer")

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
"""The path of the reviews of somebody's rights."""

OPERATOR_LABELS = "app.kubernetes.io/name=nodegate,app.kubernetes.io/component=operator"
"""The labels of the operator's Deployment (manifests/base)."""

_GROUP_VARIABLE = "NODEGATE_BOOTSTRAP_GROUP"


class Account(NamedTuple):
    """Somebody whose rights are asked for."""

    user: str
    groups: tuple[str, ...]


class Right(NamedTuple):
    """One right, as RBAC has it."""

    verb: str
    group: str
    resource: str
    """With its subresource, such as ``nodeenrollments/status``."""

    name: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        """Return it in the words of ``kubectl auth can-i``."""
        resource, slash, sub = self.resource.partition("/")
        where = f"{resource}.{self.group}" if self.group else resource
        name = f" {self.name}" if self.name else ""
        return f"{self.verb} {where}{slash}{sub}{name}" + (f" -n {self.namespace}" if self.namespace else "")


class Probe:
    """One cluster, at one moment."""

    def __init__(self, connection: Connection, *, at: datetime, namespace: str, group: str | None) -> None:
        self._connection = connection
        self._kept: dict[str, Any] = {}
        self._group = group
        self.at = at
        self.host = connection.host
        self.namespace = namespace

    def _once(self, key: str, read: Callable[[], Answer]) -> Answer:
        """Return what was read under a key, or raise what was raised then."""
        if key not in self._kept:
            try:
                self._kept[key] = read()
            except ApiError as error:
                self._kept[key] = error
        kept = self._kept[key]
        if isinstance(kept, ApiError):
            raise kept
        answer: Answer = kept
        return answer

    def clock(self) -> tuple[Any, str]:
        """Return the API server's version and the Date of its answer."""
        return self._connection.clock()

    def one(self, path: str) -> Body:
        """Return the object under a path.

        Raises:
            ApiError: It could not be read.
        """
        body: Body = self._once(path, lambda: self._connection.get(path))
        return body

    def every(self, path: str, kind: str, version: str = "v1", **query: str) -> Sequence[Body]:
        """Return the objects of a list.

        Raises:
            ApiError: They could not be read.
        """
        key = f"{path} {json.dumps(query)}"
        return self._once(key, lambda: list(self._connection.objects(path, kind, version, **query)))

    def requests(self) -> Sequence[Body]:
        """Return every signing request."""
        return self.every(REQUESTS, "CertificateSigningRequest", REQUEST_VERSION)

    def objects(self, kind: str) -> Sequence[Body]:
        """Return the objects of a kind that is a fact."""
        return [manifest.body for manifest in self._read().manifests if manifest.body.get("kind") == kind]

    def unread(self) -> Sequence[str]:
        """Return a warning for each kind of facts that could not be read."""
        return self._read().notes

    def facts(self) -> Facts:
        """Return what requests are judged on."""
        read = self._read()
        return self._once("facts", lambda: gather(read.manifests, live=True, missing=read.missing))

    def _read(self) -> Read:
        return self._once("objects", lambda: read_objects(self._connection))

    def may(self, account: Account, right: Right) -> bool:
        """Tell whether somebody has a right.

        Raises:
            ApiError: The API server did not say.
        """
        resource, _, sub = right.resource.partition("/")
        asked = {
            "verb": right.verb,
            "group": right.group,
            "resource": resource,
            "subresource": sub,
            "name": right.name,
            "namespace": right.namespace,
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": account.user, "groups": list(account.groups), "resourceAttributes": asked},
        }
        answer = self._once(json.dumps(body), lambda: self._connection.ask(REVIEWS, body))
        return Fields(answer).child("status").flag("allowed")

    def deployment(self) -> Body | None:
        """Return the operator's Deployment, or None when there is none."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments"
        return next(iter(self.every(path, "Deployment", "apps/v1", labelSelector=OPERATOR_LABELS)), None)

    def setting(self, variable: str) -> str:
        """Return the value of a variable that the Deployment gives the operator, or nothing."""
        try:
            body = self.deployment()
        except ApiError:
            return ""
        pod = Fields(body).child("spec").child("template").child("spec")
        found = (entry for container in pod.children("containers") for entry in container.children("env"))
        return next((entry.text("value") for entry in found if entry.text("name") == variable), "")

    def bootstrap_group(self) -> str:
        """Return the group whose members may ask for first certificates."""
        return self._group or self.setting(_GROUP_VARIABLE) or BOOTSTRAP_GROUP

    def account(self) -> tuple[str, Account]:
        """Return the name of the operator's ServiceAccount, and who that is."""
        try:
            body = self.deployment()
        except ApiError:
            body = None
        name = Fields(body).child("spec").child("template").child("spec").text("serviceAccountName", "nodegate")
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{self.namespace}", EVERYBODY_GROUP)
        return name, Account(f"system:serviceaccount:{self.namespace}:{name}", groups)
