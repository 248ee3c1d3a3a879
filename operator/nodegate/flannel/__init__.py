"""flannel's network config in etcd, managed as if the pods' addresses depended on it.

``golang`` and ``dialects`` read a live value as flannel of a version would, ``parse`` turns the
resource and the leases into a model, ``decide`` classifies a change and says what blocks it,
``render`` words the canonical JSON and the status, ``apply`` writes them, ``etcd`` talks to etcd.
"""
