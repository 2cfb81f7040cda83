//! A bot behind actix-web, which ends by itself on SIGTERM and Ctrl-C: `cargo run --bin actix_web -- bot.db`.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Query};
use actix_web::{App, HttpResponse, HttpServer, get, post, rt};
use botstore::prelude::*;
use botstore_hosts::{Ask, Rate};
use serde::Serialize;

/// The store's answer, or its error, as one of HTTP.
fn reply(answer: Result<impl Serialize>) -> HttpResponse {
    match answer {
        Ok(answer) => HttpResponse::Ok().json(answer),
        Err(error) => {
            let status = StatusCode::from_u16(error.kind().http_status());
            HttpResponse::build(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
                .body(error.to_string())
        }
    }
}

#[post("/ask")]
async fn ask(store: Data<Store>, ask: Json<Ask>) -> HttpResponse {
    reply(botstore_hosts::answer(&store, ask.into_inner()).await)
}

#[post("/rate")]
async fn rate(store: Data<Store>, rate: Json<Rate>) -> HttpResponse {
    reply(botstore_hosts::rate(&store, rate.into_inner()).await)
}

#[get("/ratings")]
async fn ratings(store: Data<Store>) -> HttpResponse {
    let answer = store.ask::<_, (i64, Option<f64>)>("ratings", |tx| {
        let sql = "SELECT count(*), avg(stars) FROM ratings";
        tx.one(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
    });
    reply(answer.lane(Lane::Analytics).await)
}

#[get("/users/{id}/messages")]
async fn messages(store: Data<Store>, id: Path<i64>, page: Query<PageRequest>) -> HttpResponse {
    let messages = UserMessages::new(*id).page(page.into_inner());
    reply(store.read(messages).await)
}

/// What the user said with a word in it. There is no index of words: this reads all that the user said.
#[get("/users/{id}/search/{word}")]
async fn search(store: Data<Store>, asked: Path<(i64, String)>) -> HttpResponse {
    let answer = store.ask("search", move |tx| {
        let sql = "SELECT prompt FROM messages WHERE user_id = ?1 AND instr(prompt, ?2)
                   ORDER BY message_id DESC LIMIT 20";
        tx.all(sql, (asked.0, &asked.1), |row| Ok(row.get::<_, String>(0)?))
    });
    reply(answer.lane(Lane::Analytics).await)
}

#[get("/health")]
async fn health(store: Data<Store>) -> HttpResponse {
    match store.health().await {
        Ok(health) if !health.ok => HttpResponse::ServiceUnavailable().json(health),
        health => reply(health),
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "bot.db".into());
    let store = botstore_hosts::open(botstore_hosts::config(&path)).await?;
    store.write(EnsureUser::new(1, Some("admin"))).await?;
    store.write(SetAllowed::allow(1)).await?;

    let mut events = store.events();
    rt::spawn(async move {
        while let Ok(event) = events.recv().await {
            eprintln!("{event:?}"); // or to whoever has to look: a backup has failed, the disk is full, …
        }
    });

    let data = Data::new(store.clone());
    let app = move || {
        let services = (ask, rate, ratings, messages, search, health);
        App::new().app_data(data.clone()).service(services)
    };
    let server = HttpServer::new(app).bind(("127.0.0.1", 8089))?;
    server.run().await?;
    store.close().await?; // what was accepted is committed
    Ok(())
}
