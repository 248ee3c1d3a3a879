"""May this signing request be approved?

``parse`` turns the API object into facts, ``decide`` judges them by a table of rules, ``render``
words the verdict, ``apply`` writes it, ``handlers`` joins the steps.
"""
