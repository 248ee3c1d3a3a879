"""The ``kubectl nodegate`` plugin: one file a verb.

``explain`` judges a request by the operator's own rules and shows each of them; ``list`` shows the
enrollments and who asks without one; ``watch`` follows both; ``doctor`` examines the cluster; ``lint``
checks manifests offline; ``import`` makes them for nodes that have joined; ``token`` makes a node's
bootstrap kubeconfig. Arguments come in, text or objects go out on stdout, and what went wrong goes to
stderr. Rules: nothing here writes to the cluster, and what is slow to import is imported only by the
verb that needs it.
"""
