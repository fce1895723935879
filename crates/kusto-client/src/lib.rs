//! Talks to a Kusto cluster: sign-in, commands, queries, queued ingestion and its status.
