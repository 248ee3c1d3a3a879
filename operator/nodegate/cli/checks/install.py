"""Is nodegate installed and running? The API server, the CRD, the operator and its lease."""

from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime

from nodegate.cli.checks.outcome import Check, Outcome, fail, ok, skip, some, warn
from nodegate.cli.checks.probe import Body, Probe
from nodegate.cli.enrollment_schema import SPEC
from nodegate.cli.layout import ago, span_of_time
from nodegate.cli.schema import Record, Schema
from nodegate.clock import now
from nodegate.errors import NotFound
from nodegate.fields import Fields
from nodegate.text import counted, visible

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/nodeenrollments.nodegate.dev"
"""The path of our CRD."""

_VERSION = "v1alpha1"
_APPLY = "Apply nodegate's manifests: kubectl apply -k manifests/base."
_OLDEST_MINOR = 30
"""The CRD's rules call isIP and ip.isCanonical, which API servers have since 1.30."""

_SKEW_S = 5
_LEASE = "nodegate"


def _api(probe: Probe) -> Outcome:
    version, _ = probe.clock()
    text = visible(str(version.get("gitVersion") or "an unknown version"))
    minor = "".join(filter(str.isdigit, str(version.get("minor") or "")))
    found = f"{text} at {probe.host}"
    if minor and version.get("major") == "1" and int(minor) < _OLDEST_MINOR:
        return fail(found, f"Upgrade the cluster: the CRD needs Kubernetes 1.{_OLDEST_MINOR} or later.")
    return ok(found)


def _skew(probe: Probe) -> Outcome:
    before = now()
    _, date = probe.clock()
    after = now()
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return skip(
            "the API server stamps no Date on its answers", "Compare the clocks by hand: date -u on both hosts."
        )
    # The stamp has whole seconds, and was made at some moment between asking and being answered.
    skew = max((before - theirs - timedelta(seconds=1)).total_seconds(), (theirs - after).total_seconds(), 0.0)
    if skew > _SKEW_S:
        away = span_of_time(timedelta(seconds=skew))
        remedy = "Synchronise the clocks (NTP) of this host and the control plane: windows and expiries rest on them."
        return warn(f"this host and the API server differ by about {away}", remedy)
    return ok(f"this host and the API server agree to within {_SKEW_S} s")


def _crd(probe: Probe) -> Outcome:
    try:
        root = Fields(probe.one(CRD))
    except NotFound:
        return fail("the cluster does not know the kind NodeEnrollment", _APPLY)
    served = [version.text("name") for version in root.child("spec").children("versions") if version.flag("served")]
    conditions = {c.text("type"): c.text("status") for c in root.child("status").children("conditions")}
    if _VERSION not in served:
        return fail(f"served: {some(served)}; expected {_VERSION}", "Apply the CRD that belongs to this plugin.")
    if conditions.get("Established") != "True":
        return fail(
            f"{_VERSION}, not established yet",
            "Look at the conditions: kubectl describe crd nodeenrollments.nodegate.dev.",
        )
    return ok(f"{_VERSION} is served")


def _schema(probe: Probe) -> Outcome:
    try:
        root = Fields(probe.one(CRD))
    except NotFound:
        return skip("there is no CRD")
    version = next((v for v in root.child("spec").children("versions") if v.text("name") == _VERSION), None)
    if version is None:
        return skip(f"{_VERSION} is not served")
    theirs = version.child("schema").child("openAPIV3Schema").child("properties").child("spec")
    missing = list(_missing(SPEC, theirs, "spec"))
    if missing:
        return fail(f"the CRD in the cluster lacks {some(missing)}", f"It is older than this plugin. {_APPLY}")
    return ok("it has every field that this plugin knows")


def _missing(ours: Schema, theirs: Fields, path: str) -> Iterator[str]:
    """Yield the fields of ours that the cluster's schema lacks."""
    if not isinstance(ours, Record):
        return
    properties = theirs.child("properties")
    for key, part in ours.fields.items():
        if key not in properties:
            yield f"{path}.{key}"
        else:
            yield from _missing(part, properties.child(key), f"{path}.{key}")


def _deployment(probe: Probe) -> Outcome:
    body = probe.deployment()
    if body is None:
        remedy = f"{_APPLY} Where it runs outside the cluster or in another namespace, say so with --namespace."
        return fail(f"no operator in namespace {probe.namespace}", remedy)
    wanted, ready = _replicas(body)
    found = (
        f"{Fields(body).child('metadata').text('name')}: {ready} of {counted(wanted, 'replica')} ready, {_image(body)}"
    )
    if wanted == 0:
        return fail(found, "Scale it up: nothing is decided without it.")
    if ready == 0:
        where = f"-n {probe.namespace}"
        return fail(
            found,
            f"Look at its pods and its log: kubectl describe pods {where}; kubectl logs {where} deployment/nodegate.",
        )
    return (
        ok(found) if ready >= wanted else warn(found, f"Look at its pods: kubectl describe pods -n {probe.namespace}.")
    )


def _replicas(body: Body) -> tuple[int, int]:
    root = Fields(body)
    wanted = root.child("spec").integer("replicas")
    return 1 if wanted is None else wanted, root.child("status").integer("readyReplicas") or 0


def _image(body: Body) -> str:
    containers = Fields(body).child("spec").child("template").child("spec").children("containers")
    return visible(next((container.text("image") for container in containers), "no container"))


def _account(probe: Probe) -> Outcome:
    name, who = probe.account()
    try:
        probe.one(f"/api/v1/namespaces/{probe.namespace}/serviceaccounts/{name}")
    except NotFound:
        return fail(f"no ServiceAccount {name} in namespace {probe.namespace}", _APPLY)
    return ok(who.user)


def _lease(probe: Probe) -> Outcome:
    if probe.setting("NODEGATE_LEADER_ELECT").lower() != "true":
        return skip("leader election is off, or the Deployment could not be read")
    try:
        spec = Fields(probe.one(f"/apis/coordination.k8s.io/v1/namespaces/{probe.namespace}/leases/{_LEASE}")).child(
            "spec"
        )
    except NotFound:
        return fail(
            "leader election is on and there is no Lease", "Look at the operator's log: it cannot write its Lease."
        )
    holder, renewed = spec.text("holderIdentity"), spec.moment("renewTime")
    lasts = timedelta(seconds=spec.integer("leaseDurationSeconds") or 0)
    if not holder or renewed is None:
        return warn("nobody holds the Lease", "Wait some seconds; look at the operator's log when this stays.")
    found = f"held by {visible(holder, 253)}, renewed {ago(renewed, probe.at)}"
    if renewed + lasts < probe.at:
        return fail(
            f"{found}: it has lapsed", "No operator decides. Look at its pods and at its right to write Leases."
        )
    return ok(found)


def _service_cidr(probe: Probe) -> Outcome:
    given = probe.setting("NODEGATE_SERVICE_CIDR")
    if given:
        return ok(f"--service-cidr {visible(given)}")
    try:
        found = probe.every("/apis/networking.k8s.io/v1/servicecidrs", "ServiceCIDR", "networking.k8s.io/v1")
    except NotFound:
        remedy = "Give the operator --service-cidr (NODEGATE_SERVICE_CIDR): else it may approve addresses of Services."
        return fail("the cluster does not know the kind ServiceCIDR (before Kubernetes 1.33)", remedy)
    networks = [text for body in found for text in Fields(body).child("spec").texts("cidrs")]
    if not networks:
        return warn(
            "no ServiceCIDR exists", "Give the operator --service-cidr: else it may approve addresses of Services."
        )
    return ok(some(networks))


CHECKS = (
    Check("api-server", _api),
    Check("clock", _skew),
    Check("crd", _crd),
    Check("crd-schema", _schema),
    Check("operator", _deployment),
    Check("operator-account", _account),
    Check("operator-lease", _lease),
    Check("service-cidr", _service_cidr),
)
"""Whether nodegate is there and runs."""
