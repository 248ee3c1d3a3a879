"""May this signing request be approved?

``parse`` turns the API object into facts, ``decide`` judges them by a table of rules, ``render``
words the verdict, ``apply`` writes it, ``flow`` joins the
steps. kopf never touches a request (ADR 0005), so there are no handlers.
"""
