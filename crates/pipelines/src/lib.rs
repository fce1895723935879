//! Sources with positions, schema inference and the runner that binds them to the sink.
