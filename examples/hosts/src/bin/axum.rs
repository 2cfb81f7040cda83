//! The same bot behind axum, on plain tokio: `cargo run --bin axum -- bot.db`.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, serve};
use botstore::prelude::*;
use botstore_hosts::{Ask, Rate, answer, config, open, rate};
use tokio::signal::unix::{SignalKind, signal};

struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind().http_status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, self.0.to_string()).into_response()
    }
}

type Reply<T> = Result<T, Failure>;
type Messages = Json<Page<ChatMessage>>;

async fn ask(State(store): State<Store>, Json(ask): Json<Ask>) -> Reply<Json<ChatMessage>> {
    Ok(Json(answer(&store, ask).await?))
}

async fn stars(State(store): State<Store>, Json(stars): Json<Rate>) -> Reply<StatusCode> {
    rate(&store, stars).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn messages(State(store): State<Store>, Path(id): Path<i64>) -> Reply<Messages> {
    Ok(Json(store.read(UserMessages::new(id)).await?))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut stop = signal(SignalKind::terminate())?;
    let store = open(config("bot.db")).await?;
    let app = Router::new()
        .route("/ask", post(ask))
        .route("/rate", post(stars))
        .route("/users/{id}/messages", get(messages))
        .with_state(store.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8090").await?;
    let stopped = async move { stop.recv().await.unwrap_or_default() };
    let served = serve(listener, app).with_graceful_shutdown(stopped);
    served.await?;
    Ok(store.close().await?)
}
