"""The API server: a thin bounded client, informers, a queue of names, credentials."""
