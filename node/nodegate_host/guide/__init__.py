"""A host that was built by hand, by the old deployment guide: read, judged, and turned into a node.yaml.

`read` finds what the host's units and environment files say, `errors` which of the guide's mistakes are in them,
`convert` makes the configuration that keeps what was meant. Nothing on the host changes.
"""
