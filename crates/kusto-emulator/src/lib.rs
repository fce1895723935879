//! A local Kusto cluster on loopback: engine, data management, blob, queue and table storage, sign-in.
