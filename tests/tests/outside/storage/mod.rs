//! One suite for storage, with one client, against the local cluster's own storage and against Azurite.
//!
//! Every step names what it expects. Where the two differ, the step names both answers and why ([`Server::differs`]): an
//! answer that is neither fails, and so does a difference that is gone.
//!
//! | file | what |
//! |---|---|
//! | `wire.rs` | the client: requests and signatures by hand, so that wrong ones can be made too |
//! | `rights.rs` | shared key, service SAS, account SAS, stored access policies |
//! | `blobs.rs`, `queues.rs`, `tables.rs` | the operations |
//! | `clients.rs` | the official clients for Python and Node; the client of this project, which uses those for Rust |
//! | `pipeline.rs` | the local cluster on Azurite's storage, and a pipeline into it |
//! | `write_ahead.rs` | the write-ahead mode on it, killed and started again |

mod blobs;
mod clients;
mod pipeline;
mod queues;
mod rights;
mod tables;
mod wire;
mod write_ahead;

use kusto_emulator::Emulator;
use timely_kusto_tests::{Azurite, Outside, Place};
use wire::Server;

/// Which storage a step runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The local cluster's own.
    Ours,
    Azurite,
}

/// Runs steps against a new storage of ours.
async fn ours(steps: impl AsyncFn(&Server)) {
    let emulator = Emulator::builder().start().unwrap();
    let connection = emulator.storage_connection_strings().remove(0);
    steps(&Server::new(Kind::Ours, &connection)).await;
}

macro_rules! suite {
    ($($name:ident: $steps:path),* $(,)?) => {
        $(#[tokio::test] async fn $name() { ours($steps).await })*

        /// One Azurite for all: it takes a second to start, and a hundred megabytes.
        #[tokio::test]
        async fn the_suite_holds_for_azurite_too() {
            let Some(outside) = Outside::find() else { return };
            let place = Place::new();
            let azurite = Azurite::start(&outside, &place);
            let server = Server::new(Kind::Azurite, &azurite.connection_string());
            $(println!("{}", stringify!($name)); $steps(&server).await;)*
        }
    };
}

use {blobs as b, queues as q, rights as r, tables as t};

suite! {
    containers_are_made_described_listed_and_removed: b::containers,
    blobs_come_back_whole_and_in_parts: b::bytes,
    blobs_are_written_under_conditions_only: b::conditions,
    blocks_become_a_blob: b::blocks,
    blobs_are_listed_in_parts_by_prefix_and_delimiter: b::lists,
    names_that_need_encoding_are_what_they_were: b::names,
    queues_are_made_described_listed_and_removed: q::queues,
    messages_are_hidden_from_others_and_deleted_by_receipt: q::messages,
    tables_are_made_listed_and_removed: t::tables,
    entities_are_inserted_merged_replaced_and_deleted: t::entities,
    entities_are_queried_by_filter_and_in_parts: t::queries,
    a_key_signs_every_request: r::shared_key,
    a_service_sas_holds_for_what_it_names: r::service_sas,
    an_account_sas_holds_for_services_levels_and_permissions: r::account_sas,
    a_stored_policy_gives_and_takes_rights: r::stored_policy,
}
