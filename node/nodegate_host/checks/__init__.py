"""May this host become the node that its file says? Facts and configuration go in, findings come out.

`model` says what a check and a finding are, the other modules are the checks by topic, `table` puts the 57 in order,
`engine` selects and runs them. All are pure. What `nodegate-host apply` itself puts right is a warning that says so;
an error is what it cannot or must not put right.
"""
