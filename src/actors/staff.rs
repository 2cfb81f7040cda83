//! Starts the actors: who gets which connection, lane and thread.

use super::Dispatch;
use super::archivist::Archivist;
use super::backup_worker::BackupWorker;
use super::checkpointer::Checkpointer;
use super::gate::Gates;
use super::group::Mood;
use super::heartbeat::Heartbeat;
use super::lane::{self, Bell};
use super::ports::{Mutations, Queries, ports};
use super::reader::{ReadConnection, Reader};
use super::supervisor::{Crew, Outcome, Supervisor};
use super::wal::{Signals, WalKeeper};
use super::writer::{WriteConnection, Writer};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::holders::Holders;
use crate::operation::Lane;
use actix::{Actor, Addr, Arbiter, Recipient};
use rusqlite::Connection;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::thread::ThreadId;

/// Holders who works for a store, and the threads they are on.
pub(crate) struct Staff {
    pub(crate) dispatch: Arc<Dispatch>,
    pub(crate) mutations: Addr<Mutations>,
    pub(crate) queries: Addr<Queries>,
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) archivist: Addr<Archivist>,
    pub(crate) threads: Vec<Arbiter>,
    /// Theirs, so that none of them ever waits for itself.
    pub(crate) thread_ids: Vec<ThreadId>,
}

/// Starts all actors in the current System. `conn` is the writer's connection, migrated.
pub(crate) fn hire(
    conn: Connection,
    path: &Path,
    config: &Config,
    outcome: Outcome,
) -> Result<Staff> {
    let (writes, mut writer_end) = lane::lane(1);
    let (interactive, interactive_ends) = lane::lane(config.readers);
    let (analytics, analytics_ends) = lane::lane(config.analytics_readers);
    let dispatch = Arc::new(Dispatch::new(config, writes, interactive, analytics));
    let gates = Arc::new(Gates::default());
    let stop = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    let mut thread_ids = vec![std::thread::current().id()];
    let mut thread = || {
        let arbiter = Arbiter::try_new().map_err(|e| Error::io("cannot start a thread", e))?;
        let handle = arbiter.handle();
        let (tell, told) = mpsc::channel();
        handle.spawn_fn(move || {
            let _ = tell.send(std::thread::current().id());
        });
        thread_ids.extend(told.recv());
        threads.push(arbiter);
        Ok::<_, Error>(handle)
    };

    let signals = Arc::new(Signals::default());
    let checkpointer = {
        let actor = Checkpointer {
            path: path.to_owned(),
            dispatch: Arc::clone(&dispatch),
            conn: None,
            signals: Arc::clone(&signals),
        };
        Checkpointer::start_in_arbiter(&thread()?, |_| actor)
    };
    let mut holders = Holders::new(path);
    let mut readers = Vec::new();
    for (lane, ends) in [
        (Lane::Interactive, interactive_ends),
        (Lane::Analytics, analytics_ends),
    ] {
        let mut bells: Vec<Recipient<Bell>> = Vec::new();
        for queue in ends {
            let actor = Reader {
                path: path.to_owned(),
                config: config.clone(),
                lane,
                dispatch: Arc::clone(&dispatch),
                queue,
                gates: Arc::clone(&gates),
                at_work: holders.add(),
                stop: Arc::clone(&stop),
                connection: Some(ReadConnection::open(path, config, &stop)?),
            };
            let reader = Reader::start_in_arbiter(&thread()?, |_| actor);
            bells.push(reader.clone().recipient());
            readers.push(reader.recipient());
        }
        match lane {
            Lane::Interactive => dispatch.interactive.lane.staff(bells),
            Lane::Analytics => dispatch.analytics.lane.staff(bells),
        }
    }

    let backups_at_work = holders.add();

    let writer = {
        let actor = Writer {
            path: path.to_owned(),
            config: config.clone(),
            dispatch: Arc::clone(&dispatch),
            queue: writer_end.remove(0),
            wal: WalKeeper::new(
                holders,
                checkpointer.clone().recipient(),
                signals,
                Arc::clone(&gates),
                Arc::clone(&dispatch),
                config,
            )?,
            connection: Some(WriteConnection::new(conn, &stop)?),
            doubtful: None,
            mood: Mood::default(),
            stop: Arc::clone(&stop),
        };
        Writer::start_in_arbiter(&thread()?, |_| actor)
    };
    dispatch.writes.staff(vec![writer.clone().recipient()]);

    let (archivist, backup_thread) = Archivist::employ(BackupWorker {
        path: path.to_owned(),
        config: config.clone(),
        dispatch: Arc::clone(&dispatch),
        at_work: backups_at_work,
        heartbeat: Arc::new(Heartbeat::new(config.backups.stall_deadline)),
        conn: None,
        backup_due: None,
        drill_due: None,
        waits_for_a_backup: false,
    })?;
    // A host's code runs there too.
    thread_ids.push(backup_thread);
    let archivist = archivist.start();

    let crew = Crew {
        writer,
        readers,
        checkpointer,
        archivist: archivist.clone(),
        close_deadline: config.close_deadline,
        stop,
    };
    let supervisor = Supervisor::new(Arc::clone(&dispatch), path, config, crew, outcome);
    let (mutations, queries) = ports(&dispatch, config);
    Ok(Staff {
        dispatch,
        mutations: mutations.start(),
        queries: queries.start(),
        supervisor: supervisor.start(),
        archivist,
        threads,
        thread_ids,
    })
}
