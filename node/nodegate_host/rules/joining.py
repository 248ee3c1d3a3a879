"""D9-D11, D14, D22, D26: the node's identity, its requests and the API server.

Data. What approves the requests is the operator; its side is asked with ``kubectl nodegate explain`` and
``kubectl describe nodeenrollment NODE``.
"""

from __future__ import annotations

from nodegate_host.rules.model import Rule, rule

RULES: tuple[Rule, ...] = (
    rule(
        "D9",
        "the certificate is for another node name",
        ("cannot modify node", "is not allowed to modify", "can only create pods with"),
        r"(?:node )?\"?([\w.-]*)\"? ?(?:cannot|is not allowed to) modify (?:node )?\"?([\w.-]*)",
        cause="the certificate says node {0}, but the kubelet calls itself {1}",
        remedy=(
            "give node.name back its old value, or get a certificate for the new one:",
            "nodegate-host rejoin --bootstrap-kubeconfig FILE",
        ),
        doc="NodeRestriction lets system:node:NAME change the Node NAME only. The name is --hostname-override, in "
        "lower case.",
        errata="E28",
    ),
    rule(
        "D10",
        "the certificate request was denied, or nobody approved it",
        (
            "certificate signing request is denied",
            "certificate signing request was denied",
            "timed out waiting for the certificate",
            "certificate request was not signed",
        ),
        r"certificate signing request (?:is|was) denied|timed out waiting for the certificate"
        r"|certificate request was not signed",
        cause="the node asked for its certificate and did not get it: denied, or still waiting for an approval",
        remedy=(
            "on a machine with kubectl: kubectl nodegate explain CSR, kubectl describe nodeenrollment NODE",
            "nodegate-host enroll --print, and compare name, addresses and key with the NodeEnrollment",
        ),
        doc="Each node needs a NodeEnrollment of its name; the operator approves only what matches it.",
    ),
    rule(
        "D11",
        "a TLS certificate is not trusted, or not valid now",
        ("x509: certificate",),
        r"x509: certificate (signed by unknown authority|has expired or is not yet valid[^\"]*|is valid for [^\"]*)",
        cause="a TLS connection failed: certificate {0}",
        remedy=(
            "date, and chronyc tracking: is the clock right?",
            "nodegate-host preflight --only api.tls,host.time,ident.state",
        ),
        doc="Unknown authority: the CA in the kubeconfig is not the one that signed the server's certificate. Expired "
        "or not yet valid: the certificate's time, or this host's clock. Valid for other names: the server's "
        "certificate lacks the address that the kubeconfig uses.",
    ),
    rule(
        "D14",
        "kube-proxy does not find its Node",
        ("Failed to retrieve node", "rror getting node", "retrieve node info"),
        r"(?:Failed to retrieve node(?: info)?|[Ee]rror getting node)\b.*?(?:nodes \\?\"([\w.-]+)\\?\" not found)?$",
        cause="no Node of kube-proxy's name exists ({0}), so it writes no rules; the kubelet uses another name or has "
        "not joined",
        remedy=(
            "the same --hostname-override in kubelet and kube-proxy (node.name in node.yaml says it once)",
            "if the kubelet has not joined yet: nodegate-host status",
        ),
        doc="A kube-proxy that runs under another name than the kubelet does not fail, it only does nothing.",
    ),
    rule(
        "D22",
        "the kubelet has no serving certificate yet",
        ("tls: internal error", "no serving certificate available"),
        r"remote error: tls: internal error|no serving certificate available",
        cause="the kubelet's request for a serving certificate is not approved, so kubectl logs and exec fail",
        remedy=(
            "kubectl get csr | grep kubelet-serving, then kubectl nodegate explain CSR",
            "the NodeEnrollment must list this node's addresses and names",
        ),
        doc="Nothing in Kubernetes itself approves kubelet-serving requests.",
    ),
    rule(
        "D26",
        "the API server rejects the node's credential",
        ("Unauthorized", "401", "is forbidden: User", "Forbidden"),
        r"\b(Unauthorized)\b|\b(?:status|code|response)\b\W{1,3}(401)\b"
        r"|is (forbidden): User \\?\"(?!system:anonymous)|\b(Forbidden)\b",
        cause="the API server answers {0}: Unauthorized is a credential that it does not know (an expired token or "
        "certificate), Forbidden one that it knows and that may not do this",
        remedy=(
            "Unauthorized: a new bootstrap token, nodegate-host rejoin --bootstrap-kubeconfig FILE",
            "Forbidden: bind the user to system:node-bootstrapper (bootstrap) or check the certificate's group",
        ),
        doc="A bootstrap token lives for hours or a day; a node that first starts after that is Unauthorized.",
    ),
)
"""By number."""
