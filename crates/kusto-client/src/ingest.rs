//! Queued ingestion: blobs, the queue, the status table, and the temporary storage that the cluster lends for them.

pub(crate) mod message;
