"""ROOM: pools, by which fleets join that nobody enrolls node by node.

A NodeEnrollmentPool names who may join under which names; the first request for such a name makes its
NodeEnrollment. Nothing here approves anything: the request is judged again by that enrollment, like any other.
"""
