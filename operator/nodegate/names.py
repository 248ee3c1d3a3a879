"""Names that Kubernetes and nodegate have agreed on, each with its source."""

API_GROUP = "nodegate.dev"
"""The API group of nodegate's own kinds."""

API_VERSION = "nodegate.dev/v1alpha1"
"""The group and version that this program reads and writes."""

CLI_API_VERSION = "cli.nodegate.dev/v1"
"""The version of what the command line prints as JSON or YAML."""

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
"""Signs kubelet client certificates (Kubernetes documentation, "Kubernetes signers")."""

SERVING_SIGNER = "kubernetes.io/kubelet-serving"
"""Signs kubelet serving certificates (Kubernetes documentation, "Kubernetes signers")."""

MANAGED_SIGNERS = (CLIENT_SIGNER, SERVING_SIGNER)
"""The signers whose requests are nodegate's to judge."""

NODE_USER_PREFIX = "system:node:"
"""A node's user name is this and its node name (Kubernetes, "Using Node Authorization")."""

NODES_GROUP = "system:nodes"
"""The group, and the X.509 organization, of every node."""

BOOTSTRAP_USER_PREFIX = "system:bootstrap:"
"""A bootstrap token's user name is this and the token id ("Authenticating with Bootstrap Tokens")."""

BOOTSTRAP_GROUP = "system:bootstrappers"
"""The group of every bootstrap token, and the default of ``--bootstrap-group``."""

NODEGATE_GROUP = "system:bootstrappers:nodegate"
"""The group of nodegate's own tokens."""

EVERYBODY_GROUP = "system:authenticated"
"""The group of everybody whom the API server knows."""

CREDENTIAL_ID_EXTRA = "authentication.kubernetes.io/credential-id"
"""The user's extra in which API servers since 1.32 name the credential, ``X509SHA256=<hex>`` for a certificate."""

FIELD_MANAGER = "nodegate"
"""The field manager of every write."""

EVENT_CONTROLLER = "nodegate.dev/operator"
"""The reporting controller of every event."""

ACCEPT_NODE_UID = "nodegate.dev/accept-node-uid"
"""The enrollment's annotation that names the UID of a replaced Node that may carry on."""

NAME_LIMIT = 253
"""Characters of a request's name in a status: requesters may choose longer ones, the schema has an end."""

POOL_LABEL = "nodegate.dev/pool"
"""The label of an enrollment that was made through a pool: the pool's name."""

POOL_UID = "nodegate.dev/pool-uid"
"""The annotation of such an enrollment: the UID of the pool as it was then."""
