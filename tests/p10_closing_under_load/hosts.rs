//! A host that ends under the callers: its System, one of its arbiters, its runtime. Whoever waited
//! there has given up waiting; the store comes to its end in order all the same.

use crate::common::{HANG, Put};
use crate::load::{Door, Ledger, Load, in_time, open};
use actix::{Actor, Arbiter, Context, System};
use botstore::Store;
use std::path::PathBuf;
use std::time::Instant;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// A store under load on whatever this runs on, and nobody who waits for the callers.
async fn under_load() -> (TempDir, Store, Ledger) {
    let (folder, store) = open().await;
    let load = Load::start(&store, Door::Handle(store.clone())).await;
    (folder, store, load.abandon())
}

/// Looks at the file, once nobody has it open any more.
fn agrees(ledger: &Ledger, path: PathBuf) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(ledger.agrees_with(&path));
}

#[test]
fn the_hosts_system_stops_and_the_last_handle_outlives_it() {
    let system = System::new();
    let (_folder, store, ledger) = system.block_on(async {
        let loaded = under_load().await;
        System::current().stop();
        loaded
    });
    system.run().unwrap();
    let path = store.path().to_owned();
    let began = Instant::now();
    drop(store);
    in_time(began);
    agrees(&ledger, path);
}

#[test]
fn the_hosts_system_stops_and_its_tasks_hold_the_last_handle() {
    let system = System::new();
    let (_folder, path, ledger) = system.block_on(async {
        let (folder, store, ledger) = under_load().await;
        System::current().stop();
        (folder, store.path().to_owned(), ledger)
    });
    let began = Instant::now();
    system.run().unwrap();
    in_time(began);
    agrees(&ledger, path);
}

/// A bot that holds the only handle.
struct Bot(#[allow(dead_code)] Store);

impl Actor for Bot {
    type Context = Context<Self>;
}

#[test]
fn the_hosts_system_stops_and_an_actor_on_it_holds_the_last_handle() {
    let callers = Runtime::new().unwrap();
    let system = System::new();
    let (_folder, path, load) = system.block_on(async {
        let (folder, store) = open().await;
        let (path, door) = (store.path().to_owned(), Door::ports(&store));
        let bots = store.clone();
        let load = callers.spawn(async move { Load::start(&store, door).await });
        let load = load.await.unwrap();
        // Lives for as long as the System: the address is kept by its own context.
        std::mem::forget(Bot(bots).start());
        System::current().stop();
        (folder, path, load)
    });
    let began = Instant::now();
    system.run().unwrap();
    in_time(began);
    let ledger = callers.block_on(load.ends());
    ledger.is_settled();
    agrees(&ledger, path);
}

#[actix::test]
async fn an_arbiter_stops_and_the_others_go_on() {
    let arbiter = Arbiter::new();
    let (tell, told) = tokio::sync::oneshot::channel();
    arbiter.spawn(async move {
        let _ = tell.send(under_load().await);
    });
    let (_folder, store, ledger) = told.await.unwrap();
    arbiter.stop();
    arbiter.join().unwrap();
    let elsewhere = tokio::spawn({
        let store = store.clone();
        async move { store.write(Put::new(1_000_000)).await }
    });
    // What was abandoned before it began does not run; what runs, runs to its deadline.
    let began = Instant::now();
    store.close().await.unwrap();
    in_time(began);
    elsewhere.await.unwrap().ok();
    ledger.agrees_with(store.path()).await;
}

/// Ends a runtime whose tasks wait for answers, and hold the last handle.
fn ends_with(runtime: Runtime, end: impl FnOnce(Runtime)) {
    let (_folder, store, ledger) = runtime.block_on(under_load());
    let path = store.path().to_owned();
    runtime.spawn(async move {
        store.events().recv().await.ok();
        drop(store);
    });
    let began = Instant::now();
    end(runtime);
    in_time(began);
    agrees(&ledger, path);
}

#[test]
fn a_runtime_of_one_thread_is_dropped() {
    let runtime = Builder::new_current_thread().enable_all().build();
    ends_with(runtime.unwrap(), drop);
}

#[test]
fn a_runtime_is_shut_down_with_a_timeout() {
    ends_with(Runtime::new().unwrap(), |runtime| {
        runtime.shutdown_timeout(HANG);
    });
}
