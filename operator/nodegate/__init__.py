"""nodegate: self-run nodes join a Kubernetes cluster safely, and every decision is explained.

A kubelet asks for a certificate with a CertificateSigningRequest; nodegate judges it against the
NodeEnrollment of that name and approves, denies or holds it. The map of rooms:

- ``csr``: may this signing request be approved?
- ``enrollment``: the NodeEnrollment resource.
- ``pool``: fleets whose enrollments are made as their nodes come.
- ``flannel``: flannel's network config in etcd.
- ``kube``: the API server: client, informer, queue, credentials.
- ``cli``: the ``kubectl nodegate`` plugin, one file a verb.

Inside a room the files are the steps of the flow: ``parse``, ``decide``, ``render``, ``apply``.
``model``, ``parse``, ``decide`` and ``render`` are pure; ``flow`` joins them,
``apply`` and ``flow`` alone touch the world.
"""

__version__ = "0.1.0"
