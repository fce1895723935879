//! What can go wrong on the way to a cluster: each case ends with every row in the table, or with an error that a person
//! can act on. Never with a hang, never with a row that is missed in silence, never with a row that is there twice without
//! need.
//!
//! SinkV2 in this process, the local cluster in this process, real requests between them.
//!
//! | what goes wrong | where it is tried | how it ends |
//! |---|---|---|
//! | 429, 500, 503, with and without `Retry-After`; connection reset before and after the effect; an error after the effect; an answer cut off, garbled, or longer than it should be; a host that stalls | `every_request`: each of these at each kind of request (metadata, sign-in, first look, resources, identity token, blob, status row written and read, message) | every row once |
//! | the same at the blocks of a large blob | `large_blobs` | every row once |
//! | a random tenth of all requests fails | `random` | every row at least once |
//! | slow storage | `storage::slow_storage_delays_and_loses_nothing` | every row once |
//! | one of several storage accounts down | `storage::an_account_that_is_down_is_left_alone_after_its_first_failures` | every row once; the ranking has learned it |
//! | the account of the status table down | `storage::...status_table...` | the error says that the rows may be there |
//! | SAS expired between fetch and use | `storage::signatures_that_expired_are_fetched_again` | every row once |
//! | SAS expired during an upload of several blocks | `large_blobs::a_signature_that_expires_between_two_blocks` | every row once |
//! | storage refuses fresh signatures too (firewall) | `storage::...firewall...` | the error names the network rules |
//! | token revoked, token expired | `rights::tokens...` | every row once |
//! | role revoked mid-run | `rights::a_role_that_is_taken_away` | the error names role and command |
//! | ingestion fails transiently, is tried again by the service | `ingestion::...` | every row once |
//! | ingestion fails for good, in part | `ingestion::...` | the error has the service's words |
//! | message lost by the service | `ingestion::a_message_that_is_lost` | the error says that the outcome is unknown |
//! | message delivered twice, together or an hour apart | `ingestion::a_message_that_comes_twice...` | every row once |
//! | status row missing | `ingestion::a_status_row_that_is_missing` | the error says that the rows may be there |
//! | the machine's clock is an hour fast or slow | `clocks` | every row once |
//! | retries without end | `retries` | the error, in bounded time; one log line per cause; counts in the report |
//!
//! Elsewhere: names without an address, TLS, proxies and firewalls end the start of a run (`end_to_end/first_failures.rs`);
//! an answer longer than its head says is in `kusto-client`'s tests; what the operator does with each outcome of the
//! service, without a network, in `timely-kusto`'s `tests/sink_v2`. SinkV2 deletes no blobs: the service does.
#![allow(clippy::unwrap_used, missing_docs)]

mod clocks;
mod every_request;
mod ingestion;
mod large_blobs;
mod random;
mod rig;
mod rights;
mod storage;
