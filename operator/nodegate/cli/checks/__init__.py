"""What ``doctor`` looks at: one function a check, a probe of the cluster in, an outcome out.

``outcome`` says what an outcome is, ``probe`` asks the cluster, and the other modules hold the checks by
what they are about. Rules: nothing is written; what may not be read is skipped and said to be.
"""
