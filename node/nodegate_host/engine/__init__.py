"""The engine: what differs on the host, in which order it is put right, and the way back.

`plan` and `differ` are pure: desired, last-applied and live state go in, ordered actions come out. `apply` carries a
plan out as a new generation, with a journal that lets any later run undo what a crash left half done.
Nothing here asks questions or parses node.yaml; the verbs do. Paths are absolute on the host and go through `Disk`.
"""
