//! Sockets: one task per connection, with limits on what a client may hold open.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::control::Peer;
use super::front::Cut;

/// What clients may hold open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientLimits {
    /// Connections at a time; more wait in the listener's queue.
    pub(crate) connections: usize,
    /// How long the head of a request may take, and how long a connection may wait for its next one.
    pub(crate) patience: Duration,
}

/// Read in one go: large enough that a blob costs few system calls.
const READ_BUFFER_BYTES: usize = 512 * 1024;

/// An answer that a fault took away.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut by a fault rule")]
struct CutConnection;

/// Answers on `listener` until `stop`; then lets requests under way finish for a moment.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ClientLimits,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let socket = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match socket {
            Ok((socket, peer)) => {
                let (router, tls, stop) = (router.clone(), tls.clone(), stop.clone());
                connections.spawn(async move {
                    accept(socket, tls, Peer(peer), router, limits.patience, stop).await;
                    drop(place);
                });
            }
            Err(error) => pause_after(&error).await,
        }
    }
    connections.close();
    let _ = tokio::time::timeout(Duration::from_secs(1), connections.wait()).await;
}

/// Out of file descriptors, mostly: others may be closed in a moment.
async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "a connection was not accepted");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Serves a connection, after the handshake where there is TLS.
async fn accept(
    socket: TcpStream,
    tls: Option<TlsAcceptor>,
    peer: Peer,
    router: Router,
    patience: Duration,
    stop: CancellationToken,
) {
    let _ = socket.set_nodelay(true);
    let Some(tls) = tls else { return connection(socket, peer, router, patience, stop).await };
    let handshake = tokio::time::timeout(patience, tls.accept(socket));
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        () = stop.cancelled() => return,
    };
    match shaken {
        Ok(Ok(socket)) => connection(socket, peer, router, patience, stop).await,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed; does the client trust the certificate?")
        }
        Err(_) => tracing::debug!("a TLS handshake was not finished in time"),
    }
}

async fn connection(
    socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: Peer,
    router: Router,
    patience: Duration,
    stop: CancellationToken,
) {
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let answer = routes.call(request);
        async move { uncut(answer.await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(READ_BUFFER_BYTES)
        .serve_connection(TokioIo::new(socket), service);
    let mut served = std::pin::pin!(served);
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended");
    }
}

fn uncut(answer: Result<Response<Body>, Infallible>) -> Result<Response<Body>, CutConnection> {
    let Ok(answer) = answer;
    if answer.extensions().get::<Cut>().is_some() { Err(CutConnection) } else { Ok(answer) }
}
