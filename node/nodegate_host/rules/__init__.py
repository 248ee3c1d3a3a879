"""Why did it not work? Log lines go in, ranked causes with remedies come out.

`model` says what a rule is, `faq`, `units`, `joining` and `network` are the rules (D1-D26), `journal` reads lines,
`engine` applies all rules in one pass, `refine` adds what the host's own files say about a match.
"""
