//! The server: a page without data, and the data as JSON for who has the admin's token.

use crate::queries::{AdminView, UserView};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::{DefaultHeaders, Next, from_fn};
use actix_web::{App, HttpResponse, HttpServer, ResponseError, Route, web};
use botstore::tokens::{Secret, VerifyToken};
use botstore::{ErrorKind, Store};
use serde::Deserialize;
use serde_json::json;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Only what comes from here runs, and nobody frames it.
const CONTENT_POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; \
                              form-action 'none'; frame-ancestors 'none'";

/// What every request needs.
#[derive(Clone)]
struct Shared {
    store: Store,
    /// Whose tokens are good here: a bot may have given others to its users, for their own data.
    admin: i64,
}

/// Takes a port of this machine that nobody else can reach; also tells which.
pub(crate) fn bind(store: Store, admin: i64, port: u16) -> io::Result<(Server, SocketAddr)> {
    let shared = Shared { store, admin };
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(shared.clone()))
            .wrap(from_fn(only_by_a_name_of_this_machine))
            .wrap(
                DefaultHeaders::new()
                    .add((header::CONTENT_SECURITY_POLICY, CONTENT_POLICY))
                    .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
                    .add((header::REFERRER_POLICY, "no-referrer"))
                    // Not even the page: the address that it was opened with has the token.
                    .add((header::CACHE_CONTROL, "no-store")),
            )
            .route("/", file(HTML, include_str!("index.html")))
            .route("/style.css", file(CSS, include_str!("style.css")))
            .route("/app.js", file(SCRIPT, include_str!("app.js")))
            .route("/charts.js", file(SCRIPT, include_str!("charts.js")))
            .route("/format.js", file(SCRIPT, include_str!("format.js")))
            .route("/icon.svg", file(SVG, include_str!("icon.svg")))
            .service(
                web::scope("/api")
                    .wrap(from_fn(only_with_the_admins_token))
                    .route("/admin", web::get().to(admin_page))
                    .route("/users/{id}", web::get().to(user_page))
                    .route("/health", web::get().to(health)),
            )
    })
    .workers(1)
    // The program ends the server, and the store after it.
    .disable_signals()
    .shutdown_timeout(1)
    .bind((Ipv4Addr::LOCALHOST, port))
    .map_err(|e| io::Error::new(e.kind(), format!("cannot listen on port {port}: {e}")))?;
    let address = server.addrs().first().copied();
    let address = address.ok_or_else(|| io::Error::other("the server listens nowhere"))?;
    Ok((server.run(), address))
}

fn file(content_type: &'static str, text: &'static str) -> Route {
    web::get().to(move || async move { HttpResponse::Ok().content_type(content_type).body(text) })
}

type Handled = actix_web::Result<ServiceResponse<BoxBody>>;

/// Refuses a page elsewhere whose name was made to lead to this machine ("DNS rebinding"): it would
/// count as of the same origin.
async fn only_by_a_name_of_this_machine(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Handled {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    if name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost") {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let why = "this server is localhost or 127.0.0.1";
    Ok(request.into_response(refusal(StatusCode::MISDIRECTED_REQUEST, why)))
}

async fn only_with_the_admins_token(
    shared: web::Data<Shared>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Handled {
    let refused = match presented(&request) {
        None => Some(StatusCode::UNAUTHORIZED),
        Some(secret) => match shared.store.read(VerifyToken::new(secret)).await {
            Ok(Some(token)) if token.user_id == shared.admin => None,
            Ok(Some(_)) => Some(StatusCode::FORBIDDEN),
            Ok(None) => Some(StatusCode::UNAUTHORIZED),
            Err(error) => return Ok(request.into_response(Failure(error).error_response())),
        },
    };
    match refused {
        None => Ok(next.call(request).await?.map_into_boxed_body()),
        Some(status) => {
            let why = "open the link that the program printed";
            Ok(request.into_response(refusal(status, why)))
        }
    }
}

fn presented(request: &ServiceRequest) -> Option<Secret> {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    let bearer = scheme.eq_ignore_ascii_case("Bearer");
    bearer.then(|| Secret::new(secret.trim()))
}

fn refusal(status: StatusCode, why: impl fmt::Display) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    response.json(json!({ "error": why.to_string() }))
}

/// An error of the store, as an answer.
#[derive(Debug)]
struct Failure(botstore::Error);

impl From<botstore::Error> for Failure {
    fn from(error: botstore::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        match self.0.kind() {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Closed => StatusCode::SERVICE_UNAVAILABLE,
            _ if self.0.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        refusal(self.status_code(), &self.0)
    }
}

type Answer = Result<HttpResponse, Failure>;

#[derive(Deserialize)]
struct Period {
    #[serde(default = "thirty")]
    days: u32,
}

fn thirty() -> u32 {
    30
}

async fn admin_page(shared: web::Data<Shared>, period: web::Query<Period>) -> Answer {
    let days = period.days;
    let page = shared.store.read(AdminView { days }).await?;
    Ok(HttpResponse::Ok().json(page))
}

async fn user_page(shared: web::Data<Shared>, user_id: web::Path<i64>) -> Answer {
    let user_id = user_id.into_inner();
    match shared.store.read(UserView { user_id }).await? {
        Some(page) => Ok(HttpResponse::Ok().json(page)),
        None => Err(botstore::Error::not_found("id", format_args!("user {user_id}")).into()),
    }
}

async fn health(shared: web::Data<Shared>) -> Answer {
    Ok(HttpResponse::Ok().json(shared.store.health().await?))
}
