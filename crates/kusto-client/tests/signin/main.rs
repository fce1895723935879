//! Signing in: every way to do it against the local cluster and a double, what is refreshed when, what is said when it
//! fails, and through which proxy it goes. The requests for tokens are those of `azure_identity`, over our transport.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../double/mod.rs"]
mod double;
#[path = "../support/mod.rs"]
mod support;

mod failures;
mod methods;
mod proxies;
mod proxy;
mod refresh;
mod trust;

use double::Double;
use kusto_client::{Client, ConnectionOptions, ConnectionOptionsBuilder};

fn options(double: &Double) -> ConnectionOptionsBuilder {
    ConnectionOptions::builder().cluster_url(&double.url)
}

/// A double and a client that signs in to it as `auth` says.
async fn start_with(auth: impl Fn(ConnectionOptionsBuilder) -> ConnectionOptionsBuilder) -> (Double, Client) {
    let double = Double::start().await;
    let client = Client::connect(auth(options(&double)).build().unwrap()).unwrap();
    (double, client)
}
