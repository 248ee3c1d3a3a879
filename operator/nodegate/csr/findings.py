"""Findings about approved requests in; counters, log lines and events out.

Rules: each finding is told where people look: on the enrollment when there is one, and on the request when
it is about that request, or when there is no enrollment. Nothing here waits: events go to an outbox.
"""

import logging
from collections.abc import Callable, Iterator, Mapping

from nodegate.csr.aftermath import Finding, Found
from nodegate.enrollment.model import Enrollment
from nodegate.metrics import Metrics
from nodegate.names import API_VERSION
from nodegate.outbox import Outbox

_log = logging.getLogger("nodegate.csr")


class FindingReports:
    """Tells of findings; made once.

    Args:
        metrics: Counts them.
        outbox: Posts the events.
        enrollment: Returns an enrollment by name, or None.
    """

    def __init__(self, metrics: Metrics, outbox: Outbox, enrollment: Callable[[str], Enrollment | None]) -> None:
        self._outbox = outbox
        self._enrollment = enrollment
        self._counters = {
            Found.APPROVAL_BYPASSED: metrics.foreign_approvals,
            Found.ISSUED_MISMATCH: metrics.issued_mismatches,
            Found.SIGNER_REFUSED: metrics.signer_failures,
        }

    def tell(self, finding: Finding) -> None:
        """Count a finding, log it, and have its events posted."""
        self._counters[finding.found].inc()
        _log.warning("%s: %s", finding.found, finding.note)
        for regarding in self._concerned(finding):
            self._outbox.add(regarding, "Warning", str(finding.found), "Verify", finding.note)

    def _concerned(self, finding: Finding) -> Iterator[Mapping[str, str]]:
        enrollment = self._enrollment(finding.node) if finding.node is not None else None
        if enrollment is not None:
            kind = {"apiVersion": API_VERSION, "kind": "NodeEnrollment"}
            yield {**kind, "name": enrollment.name, "uid": enrollment.uid}
        if enrollment is None or finding.found is not Found.APPROVAL_BYPASSED:
            kind = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
            yield {**kind, "name": finding.csr_name, "uid": finding.csr_uid}
