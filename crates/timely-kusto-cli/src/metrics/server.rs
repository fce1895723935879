//! Where metrics are served.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pipelines::Monitor;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::{About, registry};
use crate::exit::Stop;

/// What the text is, so that Prometheus reads it as such.
const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `PORT` on loopback, or `IP:PORT`; port 0 takes a free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address(SocketAddr);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = text.strip_prefix(':').unwrap_or(text).parse().ok();
        let loopback = port.map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        let address = loopback.or_else(|| text.parse().ok());
        let wrong = "must be PORT (on loopback; 0 takes a free one) or IP:PORT, such as 0.0.0.0:9100";
        address.map(Address).ok_or_else(|| wrong.to_owned())
    }
}

/// Serves the metrics of a run on the threads of `runtime` until the process ends; says where on stderr.
pub(crate) fn serve(
    runtime: &Runtime,
    Address(address): Address,
    about: About,
    monitor: &Monitor,
) -> Result<(), Stop> {
    let failed = |error| Stop::bad_configuration(format!("--metrics {address} cannot be served: {error}"));
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .fallback(async || (StatusCode::NOT_FOUND, "metrics are at /metrics\n"))
        .with_state(Arc::new(registry(about, monitor.clone())));
    eprintln!("metrics: http://{address}/metrics");
    runtime.spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::warn!("metrics are served no longer: {error}");
        }
    });
    Ok(())
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
