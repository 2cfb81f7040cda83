//! A disk that fails on demand. Each test has one of its own: see `threads`. What asks it is in `calls`.

use crate::platter::Platter;
use crate::threads;
use std::collections::HashSet;
use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::SeqCst};
use std::thread::ThreadId;
use std::time::Duration;

/// What a program asks of a disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Call {
    Read,
    Write,
    Sync,
    Truncate,
    /// The sync of a folder.
    SyncFolder,
    /// Opening a file, or making it, in the folder of [`breaks_opening`].
    Open,
}

/// How long the disk fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lasting {
    Once,
    UntilHealed,
}

/// What is wrong with the disk: from the `nth` call of this kind on, counted from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) call: Call,
    pub(crate) nth: u64,
    pub(crate) lasting: Lasting,
    /// `libc::EIO`, `libc::ENOSPC` …
    pub(crate) errno: c_int,
}

/// Whose calls fail.
#[allow(dead_code, reason = "each test file uses a part of it")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum By {
    Anybody,
    Only(ThreadId),
    AnybodyBut(ThreadId),
}

impl By {
    fn is_this_thread(self) -> bool {
        let this = std::thread::current().id();
        match self {
            Self::Anybody => true,
            Self::Only(thread) => this == thread,
            Self::AnybodyBut(thread) => this != thread,
        }
    }
}

/// What a share does not answer to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Silence {
    /// The question what is in a folder.
    Listing,
    /// Writing to a file.
    Writing,
    /// Syncing one.
    Syncing,
}

/// A share that does not answer.
struct Silent {
    folder: PathBuf,
    to: Silence,
    /// Whether somebody waits for it.
    is_asked: bool,
}

pub(crate) struct Disk {
    counts: [AtomicU64; 6],
    nth: [AtomicU64; 6],
    errno: AtomicI32,
    lasts: AtomicBool,
    only_database: AtomicBool,
    by: Mutex<By>,
    failed: AtomicBool,
    unopened: Mutex<Option<PathBuf>>,
    holds_up: Mutex<Option<ThreadId>>,
    held_up: AtomicBool,
    silent: Mutex<Vec<Silent>>,
    platter: Mutex<Option<Platter>>,
    /// The system's numbers of the threads that work on it.
    threads: Mutex<HashSet<libc::pid_t>>,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; 6],
            nth: [const { AtomicU64::new(u64::MAX) }; 6],
            errno: AtomicI32::new(0),
            lasts: AtomicBool::new(false),
            only_database: AtomicBool::new(false),
            by: Mutex::new(By::Anybody),
            failed: AtomicBool::new(false),
            unopened: Mutex::new(None),
            holds_up: Mutex::new(None),
            held_up: AtomicBool::new(false),
            silent: Mutex::new(Vec::new()),
            platter: Mutex::new(None),
            threads: Mutex::default(),
        }
    }
}

impl Disk {
    pub(crate) fn thread_begins(&self, number: libc::pid_t) {
        self.threads.lock().unwrap().insert(number);
    }

    pub(crate) fn thread_ends(&self, number: libc::pid_t) {
        self.threads.lock().unwrap().remove(&number);
    }

    /// Whether this call of its kind is one that fails; sets the error number then.
    fn is_its_turn(&self, call: Call) -> bool {
        let number = self.counts[call as usize].fetch_add(1, SeqCst);
        let nth = self.nth[call as usize].load(SeqCst);
        let fails = number == nth || (number > nth && self.lasts.load(SeqCst));
        if fails {
            self.failed.store(true, SeqCst);
            // SAFETY: the C library's own place for it, of this thread.
            unsafe { *libc::__errno_location() = self.errno.load(SeqCst) };
        }
        fails
    }

    /// Whether this share does not answer; notes that somebody asks it.
    fn is_silent(&self, asked: Silence, path: &Path) -> bool {
        let mut shares = self.silent.lock().unwrap();
        let is_it = |share: &&mut Silent| share.to == asked && path.starts_with(&share.folder);
        let share = shares.iter_mut().find(is_it);
        share.map(|share| share.is_asked = true).is_some()
    }
}

/// Gives a test its disk, which works. The first thing that it asks for.
pub(crate) fn begin() {
    threads::begin();
}

/// This test's.
pub(crate) fn this() -> &'static Disk {
    threads::disk().expect("a test begins with its disk")
}

pub(crate) fn breaks(fault: Fault) {
    heal();
    let disk = this();
    disk.failed.store(false, SeqCst);
    for count in &disk.counts {
        count.store(0, SeqCst);
    }
    disk.errno.store(fault.errno, SeqCst);
    let lasts = fault.lasting == Lasting::UntilHealed;
    disk.lasts.store(lasts, SeqCst);
    disk.nth[fault.call as usize].store(fault.nth, SeqCst);
}

/// The same, with the next call.
pub(crate) fn breaks_now(call: Call, lasting: Lasting, errno: c_int) {
    breaks(Fault {
        call,
        nth: 0,
        lasting,
        errno,
    });
}

/// From now on nothing that has this path, or lies below it, is opened until it is healed.
pub(crate) fn breaks_opening(path: &Path, errno: c_int) {
    breaks_now(Call::Open, Lasting::UntilHealed, errno);
    *this().unopened.lock().unwrap() = Some(path.to_owned());
}

/// The next sync of the database itself fails, once, and not of its WAL.
pub(crate) fn breaks_at_the_next_checkpoint(by: By) {
    breaks_now(Call::Sync, Lasting::Once, libc::EIO);
    *this().by.lock().unwrap() = by;
    this().only_database.store(true, SeqCst);
}

/// From now on this thread's syncs of the database itself, and not of its WAL, take until it is healed.
pub(crate) fn holds_up_syncs_of_the_database_by(thread: ThreadId) {
    this().held_up.store(false, SeqCst);
    *this().holds_up.lock().unwrap() = Some(thread);
}

/// Whether one is held up.
pub(crate) fn is_holding_up() -> bool {
    this().held_up.load(SeqCst)
}

/// From now on what is in this folder is on a share that does not answer to this until it does again:
/// whoever asks waits.
pub(crate) fn does_not_answer(folder: &Path, to: Silence) {
    this().silent.lock().unwrap().push(Silent {
        folder: folder.to_owned(),
        to,
        is_asked: false,
    });
}

/// Whether somebody waits for this share.
pub(crate) fn is_waited_for(folder: &Path) -> bool {
    let shares = this().silent.lock().unwrap();
    shares
        .iter()
        .any(|share| share.folder == folder && share.is_asked)
}

/// This share does again.
pub(crate) fn answers(folder: &Path) {
    let mut shares = this().silent.lock().unwrap();
    shares.retain(|share| share.folder != folder);
}

/// Works again; of shares, see [`answers`].
pub(crate) fn heal() {
    let disk = this();
    *disk.unopened.lock().unwrap() = None;
    *disk.holds_up.lock().unwrap() = None;
    disk.only_database.store(false, SeqCst);
    *disk.by.lock().unwrap() = By::Anybody;
    for nth in &disk.nth {
        nth.store(u64::MAX, SeqCst);
    }
}

/// How many calls of this kind there were since something was last to break.
pub(crate) fn count(call: Call) -> u64 {
    this().counts[call as usize].load(SeqCst)
}

/// Whether something has broken since it was to.
pub(crate) fn has_failed() -> bool {
    this().failed.load(SeqCst)
}

/// Keeps an account of what is on the disk, of the files in this folder.
pub(crate) fn watches(folder: &Path) {
    *this().platter.lock().unwrap() = Some(Platter::watch(folder));
}

/// Writes what is left of them after a loss of power now into another folder; gives how many sectors
/// were lost.
pub(crate) fn loses_power(to: &Path, random: &mut fastrand::Rng) -> u64 {
    let mut platter = this().platter.lock().unwrap();
    platter.take().unwrap().after_a_loss_of_power(to, random)
}

/// The names of the threads that work on this test's disk.
pub(crate) fn threads() -> Vec<String> {
    let numbers = this().threads.lock().unwrap();
    // One may have ended just now.
    let names = numbers.iter().filter_map(|number| {
        let name = std::fs::read_to_string(format!("/proc/self/task/{number}/comm"));
        Some(name.ok()?.trim_end().to_owned())
    });
    names.collect()
}

pub(crate) fn with_platter(then: impl FnOnce(&mut Platter)) {
    if let Some(disk) = threads::disk()
        && let Some(platter) = disk.platter.lock().unwrap().as_mut()
    {
        then(platter);
    }
}

pub(crate) fn fails(call: Call, fd: c_int) -> bool {
    let Some(disk) = threads::failing() else {
        return false;
    };
    // Pipes and sockets are no disk, and the output of the tests may be a file.
    if fd <= 2 || kind_of(fd) != Some(libc::S_IFREG) {
        return false;
    }
    if disk.only_database.load(SeqCst) && !is_the_database(fd) {
        return false;
    }
    if !disk.by.lock().unwrap().is_this_thread() {
        return false;
    }
    disk.is_its_turn(call)
}

pub(crate) fn fails_in_a_folder(fd: c_int) -> bool {
    threads::failing().is_some_and(|disk| {
        kind_of(fd) == Some(libc::S_IFDIR) && disk.is_its_turn(Call::SyncFolder)
    })
}

pub(crate) fn fails_to_open(path: &Path) -> bool {
    threads::failing().is_some_and(|disk| {
        let unopened = disk.unopened.lock().unwrap();
        let is_one = unopened.as_ref().is_some_and(|it| path.starts_with(it));
        is_one && disk.is_its_turn(Call::Open)
    })
}

fn is_the_database(fd: c_int) -> bool {
    path_of(fd).is_some_and(|path| path.extension().is_some_and(|suffix| suffix == "db"))
}

/// Waits while this sync is one that is held up.
pub(crate) fn is_held_up(fd: c_int) {
    let Some(disk) = threads::disk() else { return };
    let this = std::thread::current().id();
    let holds = || *disk.holds_up.lock().unwrap() == Some(this);
    while holds() && is_the_database(fd) {
        disk.held_up.store(true, SeqCst);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits while this is asked of a share that does not answer to it.
pub(crate) fn waits_for_the_share(asked: Silence, path: impl Fn() -> Option<PathBuf>) {
    // The test's own thread looks at what is there.
    let Some(disk) = threads::failing() else {
        return;
    };
    while path().is_some_and(|path| disk.is_silent(asked, &path)) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn path_of(fd: c_int) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()
}

fn kind_of(fd: c_int) -> Option<libc::mode_t> {
    // SAFETY: it is written to, and may be all zeros before.
    let (done, data) = unsafe {
        let mut data: libc::stat = std::mem::zeroed();
        (libc::fstat(fd, &mut data), data)
    };
    (done == 0).then_some(data.st_mode & libc::S_IFMT)
}
