"""The NodeEnrollment resource: what a node may ask for, and what became of it.

``parse`` turns the API object into a model, ``decide`` judges its readiness, ``render`` words its
status, ``apply`` writes it, ``flow`` joins the steps, ``handlers`` is called by kopf.
"""
