//! Throughput of each stage and of the whole, and what bounds it.
