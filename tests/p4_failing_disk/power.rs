//! The power fails. What was synced is on the disk; of what was written since, any of the sectors are,
//! and the others are as they were before, in whatever order they were written.

use crate::common::{HANG, until};
use crate::disk;
use crate::trial::{Told, answer, config, holds, interaction, prepare};
use botstore::{Durability, Store};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often it fails. `BOTSTORE_TEST_EVERY_CALL=1` has it fail more often.
fn cuts() -> u64 {
    match std::env::var_os("BOTSTORE_TEST_EVERY_CALL") {
        Some(_) => 400,
        None => 16,
    }
}

const CALLERS: u64 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_was_acknowledged_survives_a_loss_of_power_at_any_moment() {
    loses_power_under(Durability::Full).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn with_normal_durability_the_file_is_whole_after_a_loss_of_power() {
    loses_power_under(Durability::Normal).await;
}

async fn loses_power_under(durability: Durability) {
    let config = |path: &Path| config(path).durability(durability);
    disk::begin();
    let mut random = fastrand::Rng::with_seed(5);
    let mut lost_sectors = 0;
    let template = tempfile::tempdir().unwrap();
    let prepared = template.path().join("x.db");
    prepare(&prepared).await;
    let began = Instant::now();
    for cut in 0.. {
        if cut >= cuts() && lost_sectors > 0 {
            eprintln!("{cut} losses of power, {lost_sectors} sectors lost");
            break;
        }
        assert!(
            began.elapsed() < HANG || cut < cuts(),
            "nothing is under way"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        std::fs::copy(&prepared, &path).unwrap();
        disk::watches(folder.path());
        let store = Store::open(config(&path)).await.unwrap();
        let saved = Arc::new(Mutex::new(vec![0]));
        let mut callers = Vec::new();
        for caller in 0..CALLERS {
            let (store, saved) = (store.clone(), Arc::clone(&saved));
            callers.push(tokio::spawn(async move {
                for step in 0.. {
                    let number = 1 + step * CALLERS + caller;
                    if store.write(interaction(number)).await.is_err() {
                        return;
                    }
                    saved.lock().unwrap().push(number);
                }
            }));
        }
        // At any moment after some of them were saved.
        let some = random.usize(1..100);
        until("some are saved", async || {
            saved.lock().unwrap().len() >= some
        })
        .await;
        tokio::time::sleep(Duration::from_micros(random.u64(0..5_000))).await;
        // Whoever is in here was answered before the power failed.
        let mut told = Told::default();
        match durability {
            Durability::Full => told.saved.clone_from(&*saved.lock().unwrap()),
            // The last moments may be lost; what was there before is not.
            _ => told.saved.push(0),
        }
        let after = tempfile::tempdir().unwrap();
        lost_sectors += disk::loses_power(after.path(), &mut random);
        answer(store.close()).await.unwrap();
        for caller in callers {
            answer(caller).await.unwrap();
        }
        let path = after.path().join("x.db");
        let again = answer(Store::open(config(&path))).await;
        let again = again.unwrap_or_else(|error| panic!("cut {cut}: {error}"));
        answer(again.close()).await.unwrap();
        holds(&path, &told);
    }
}
