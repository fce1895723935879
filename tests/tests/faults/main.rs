//! What can go wrong on the way to a cluster: each case ends with every row in the table, or with an error that a person
//! can act on. Never with a hang, never with a row that is missed in silence, never with a row that is there twice without
//! need.
//!
//! SinkV2 in this process, the local cluster in this process, real requests between them.
//!
//! | what goes wrong | test | how it ends |
//! |---|---|---|
//! | 429, 500, 503, with and without `Retry-After`; connection reset before and after the effect; an error after the effect; an answer cut off, garbled, or longer than it should be; a host that stalls | `every_request::*`: each of these at each kind of request (metadata, sign-in, first look, resources, identity token, blob, status row written and read, message) | every row once |
//! | the same at blocks and block lists | `large_blobs::a_fault_at_a_block...` | every row once |
//! | a tenth of all requests, at random, before or after the effect | `random::*` | every row at least once |
//! | slow storage | `storage::slow_storage...` | every row once |
//! | one of several storage accounts down | `storage::an_account_that_is_down...` | every row once, and the account is left alone |
//! | the account of the status table down | `storage::the_account_of_the_status_table...` | an error: nothing is queued, or the rows may be there |
//! | SAS expired between fetch and use, token expired | `storage::signatures_and_tokens_that_expired...` | every row once |
//! | SAS expired during an upload of several blocks | `large_blobs::a_signature_that_expires_between_two_blocks...` | every row once |
//! | SAS refused at each kind of request | `storage::a_signature_that_is_refused_once...` | every row once |
//! | storage refuses fresh signatures too | `storage::a_firewall_before_storage...` | an error that names the network rules |
//! | the cluster is gone for good | `storage::a_cluster_that_is_gone...` | an error with its address |
//! | token revoked mid-run | `rights::tokens_that_are_revoked...` | every row once |
//! | role revoked mid-run, or before the ingestion | `rights::a_role_that_is_taken_away...` | an error with role and command |
//! | role missing | `rights::each_missing_right...` | an error with role and command, which works |
//! | ingestion fails and the service tries again | `ingestion::an_ingestion_that_fails_in_a_way_that_passes...` | every row once |
//! | ingestion fails for good, in part; table dropped | `ingestion::an_ingestion_that_fails_for_good...`, `..._in_part...`, `a_table_that_is_dropped...` | an error in the service's words; nothing repeated |
//! | message lost by the service | `ingestion::a_message_that_is_lost...` | an error: the outcome is unknown |
//! | message delivered twice, together or an hour apart | `ingestion::a_message_that_comes_twice...`, `..._again_an_hour_later...` | every row once |
//! | status row missing | `ingestion::a_status_row_that_is_missing...` | an error: the rows may be there |
//! | the machine's clock an hour fast or slow | `clocks::*` | every row once |
//! | retries without end; one log line per cause; the report | `end_to_end/retries.rs` | the error, within the bounds |
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
