"""Labels, annotations and taints read from an API object, for both rooms. Pure.

What enters are the parts of an object that hold them, what leaves is a `NodeTemplate`. Rules: a Node
and ``spec.node`` of an enrollment are read by the same code, so that what is compared is the same.
"""

from nodegate.enrollment.model import NodeTemplate, Taint
from nodegate.fields import Fields


def read_node_template(meta: Fields, spec: Fields) -> NodeTemplate:
    """Read labels and annotations below `meta`, and taints below `spec`.

    Args:
        meta: A Node's metadata, or ``spec.node`` of an enrollment.
        spec: A Node's spec, or ``spec.node`` again.

    Raises:
        Malformed: A field has the wrong type.
    """
    return NodeTemplate(
        labels=meta.child("labels").pairs(),
        annotations=meta.child("annotations").pairs(),
        taints=tuple(
            Taint(taint.text("key"), taint.text("value"), taint.text("effect")) for taint in spec.children("taints")
        ),
    )
