//! The admin endpoint: `/healthz` and `/metrics`.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{Router, extract::State, http::header, response::IntoResponse, routing::get};
use tokio::net::TcpListener;

use crate::shared::Shared;

/// Serve the admin endpoint at `address` until the runtime ends.
///
/// # Errors
/// The address can't be listened on.
pub async fn serve(address: SocketAddr, shared: Arc<Shared>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let routes = Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .with_state(shared);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "admin endpoint ended");
        }
    });
    Ok(bound)
}

async fn health(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let policy = shared.policy.load();
    let body = format!(
        "{{\"status\":\"{}\",\"version\":\"{}\",\"sessions\":{},\"policy_generation\":{}}}\n",
        if shared.is_draining() { "draining" } else { "ok" },
        env!("CARGO_PKG_VERSION"),
        shared.metrics.sessions.get(),
        policy.generation,
    );
    ([(header::CONTENT_TYPE, "application/json")], body)
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    shared.observe_store();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], shared.metrics.render())
}
