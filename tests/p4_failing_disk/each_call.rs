//! Each call of a whole run fails in turn.

use crate::disk::{self, Call, Fault, Lasting};
use crate::trial::{Told, answer, config, holds, is_the_disks, prepare, run};
use botstore::Store;
use std::path::Path;

/// How many of the calls fail in turn in `cargo test`. `BOTSTORE_TEST_EVERY_CALL=1` has all of them
/// do: some minutes.
const SAMPLE: u64 = 8;

async fn each(call: Call, lasting: Lasting, errno: i32) {
    disk::begin();
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template.db");
    prepare(&template).await;
    let fault = |nth| Fault {
        call,
        nth,
        lasting,
        errno,
    };

    // A run without a fault tells how many calls there are; and that the checks pass.
    disk::breaks(fault(u64::MAX));
    assert!(trial(&template).await.refused.is_empty());
    let calls = disk::count(call);
    assert!(
        calls > 0,
        "the linker finds the C library's functions first"
    );

    let (mut trials, mut refused) = (0, 0);
    for nth in in_turn(calls) {
        disk::breaks(fault(nth));
        refused += trial(&template).await.refused.len();
        trials += 1;
    }
    eprintln!(
        "{call:?} {lasting:?}: {trials} of {calls} calls failed in turn, {refused} refused for good"
    );
}

/// Which of so many calls fail.
fn in_turn(calls: u64) -> impl Iterator<Item = u64> {
    let all = std::env::var_os("BOTSTORE_TEST_EVERY_CALL").is_some();
    let step = if all { 1 } else { calls.div_ceil(SAMPLE) };
    (0..calls).step_by(step as usize)
}

/// One run, on a copy of the prepared file.
async fn trial(template: &Path) -> Told {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    std::fs::copy(template, &path).unwrap();
    let told = run(&path).await;
    disk::heal();
    holds(&path, &told);
    told
}

#[tokio::test]
async fn a_read_that_fails_once_costs_answers_and_nothing_else() {
    each(Call::Read, Lasting::Once, libc::EIO).await;
}

#[tokio::test]
async fn a_disk_that_does_not_read_for_a_while_costs_answers_and_nothing_else() {
    each(Call::Read, Lasting::UntilHealed, libc::EIO).await;
}

#[tokio::test]
async fn a_write_that_fails_once_costs_answers_and_nothing_else() {
    each(Call::Write, Lasting::Once, libc::EIO).await;
}

#[tokio::test]
async fn a_disk_that_does_not_write_for_a_while_costs_answers_and_nothing_else() {
    each(Call::Write, Lasting::UntilHealed, libc::EIO).await;
}

#[tokio::test]
async fn a_sync_that_fails_once_costs_answers_and_nothing_else() {
    each(Call::Sync, Lasting::Once, libc::EIO).await;
}

#[tokio::test]
async fn a_disk_that_does_not_sync_for_a_while_costs_answers_and_nothing_else() {
    each(Call::Sync, Lasting::UntilHealed, libc::EIO).await;
}

#[tokio::test]
async fn a_disk_that_is_full_for_a_while_costs_answers_and_nothing_else() {
    each(Call::Write, Lasting::UntilHealed, libc::ENOSPC).await;
}

/// SQLite calls it an I/O error, and not a full disk.
#[tokio::test]
async fn a_quota_that_is_used_up_for_a_while_costs_answers_and_nothing_else() {
    each(Call::Write, Lasting::UntilHealed, libc::EDQUOT).await;
    each(Call::Write, Lasting::Once, libc::EDQUOT).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_cut_costs_answers_and_nothing_else() {
    each(Call::Truncate, Lasting::UntilHealed, libc::EIO).await;
}

/// Makes a new file, or tries to; then healed, uses it. Gives the calls of the opening.
async fn first_opening(call: Call) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    if let Err(error) = answer(Store::open(config(&path))).await {
        assert!(is_the_disks(&error), "{error}");
    }
    let calls = disk::count(call);
    disk::heal();
    prepare(&path).await;
    let mut told = Told::default();
    told.saved.push(0);
    holds(&path, &told);
    calls
}

#[tokio::test]
async fn a_first_opening_that_fails_anywhere_leaves_a_file_that_opens() {
    disk::begin();
    for call in [Call::Read, Call::Write, Call::Sync] {
        let fault = |nth, lasting| Fault {
            call,
            nth,
            lasting,
            errno: libc::EIO,
        };
        disk::breaks(fault(u64::MAX, Lasting::Once));
        let calls = first_opening(call).await;
        let mut trials = 0;
        for nth in in_turn(calls) {
            for lasting in [Lasting::Once, Lasting::UntilHealed] {
                disk::breaks(fault(nth, lasting));
                first_opening(call).await;
                trials += 1;
            }
        }
        eprintln!("{call:?} at the first opening: {trials} trials of {calls} calls");
    }
}
