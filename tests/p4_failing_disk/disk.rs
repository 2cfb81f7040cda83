//! A disk that fails on demand: SQLite, and the rest of this program, call these functions where they
//! mean the C library's, because the linker finds them first. What they do not fail goes on to the
//! kernel.
//!
//! A VFS of SQLite's was turned down: between it and the disk is the code that makes SQLite's errors
//! of the system's, and backups do not go through it.

use crate::platter;
use std::cell::Cell;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::SeqCst};
use std::thread::ThreadId;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

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

static COUNTS: [AtomicU64; 6] = [const { AtomicU64::new(0) }; 6];
static NTH: [AtomicU64; 6] = [const { AtomicU64::new(u64::MAX) }; 6];
static UNOPENED: std::sync::Mutex<Option<PathBuf>> = std::sync::Mutex::new(None);
static ERRNO: AtomicI32 = AtomicI32::new(0);
static LASTS: AtomicBool = AtomicBool::new(false);
static ONLY_DATABASE: AtomicBool = AtomicBool::new(false);
static FAILED: AtomicBool = AtomicBool::new(false);
static HOLDS_UP: std::sync::Mutex<Option<ThreadId>> = std::sync::Mutex::new(None);
static HELD_UP: AtomicBool = AtomicBool::new(false);
static SHARE: std::sync::Mutex<Option<(PathBuf, Silence)>> = std::sync::Mutex::new(None);
static TESTS: Mutex<()> = Mutex::const_new(());

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

thread_local! {
    /// On the test's own thread, where nothing of the store runs.
    static SPARED: Cell<bool> = const { Cell::new(false) };
}

/// There is one disk, so one test at a time.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    SPARED.set(true);
    let alone = TESTS.lock().await;
    heal();
    alone
}

pub(crate) fn breaks(fault: Fault) {
    heal();
    FAILED.store(false, SeqCst);
    for count in &COUNTS {
        count.store(0, SeqCst);
    }
    ERRNO.store(fault.errno, SeqCst);
    LASTS.store(fault.lasting == Lasting::UntilHealed, SeqCst);
    NTH[fault.call as usize].store(fault.nth, SeqCst);
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
    *UNOPENED.lock().unwrap() = Some(path.to_owned());
}

/// The next sync of the database itself fails, once, and not of its WAL.
pub(crate) fn breaks_at_the_next_checkpoint() {
    breaks_now(Call::Sync, Lasting::Once, libc::EIO);
    ONLY_DATABASE.store(true, SeqCst);
}

/// From now on this thread's syncs of the database itself, and not of its WAL, take until it is healed.
pub(crate) fn holds_up_syncs_of_the_database_by(thread: ThreadId) {
    HELD_UP.store(false, SeqCst);
    *HOLDS_UP.lock().unwrap() = Some(thread);
}

/// Whether one is held up.
pub(crate) fn is_holding_up() -> bool {
    HELD_UP.load(SeqCst)
}

/// From now on what is in this folder is on a share that does not answer to this until it is healed:
/// whoever asks waits.
pub(crate) fn does_not_answer(folder: &Path, to: Silence) {
    HELD_UP.store(false, SeqCst);
    *SHARE.lock().unwrap() = Some((folder.to_owned(), to));
}

/// Works again.
pub(crate) fn heal() {
    *SHARE.lock().unwrap() = None;
    *UNOPENED.lock().unwrap() = None;
    *HOLDS_UP.lock().unwrap() = None;
    ONLY_DATABASE.store(false, SeqCst);
    for nth in &NTH {
        nth.store(u64::MAX, SeqCst);
    }
}

/// How many calls of this kind there were since something was last to break.
pub(crate) fn count(call: Call) -> u64 {
    COUNTS[call as usize].load(SeqCst)
}

/// Whether something has broken since it was to.
pub(crate) fn has_failed() -> bool {
    FAILED.load(SeqCst)
}

/// Keeps an account of what is on the disk, of the files in this folder.
pub(crate) fn watches(folder: &Path) {
    platter::watch(folder);
}

/// Writes what is left of them after a loss of power now into another folder; gives how many sectors
/// were lost.
pub(crate) fn loses_power(to: &Path, random: &mut fastrand::Rng) -> u64 {
    platter::after_a_loss_of_power(to, random)
}

fn fails(call: Call, fd: c_int) -> bool {
    // Pipes and sockets are no disk, and the output of the tests may be a file.
    if SPARED.get() || fd <= 2 || !is_a_file(fd) {
        return false;
    }
    if ONLY_DATABASE.load(SeqCst) && !is_the_database(fd) {
        return false;
    }
    is_its_turn(call)
}

/// Whether this call of its kind is one that fails; sets the error number then.
fn is_its_turn(call: Call) -> bool {
    let number = COUNTS[call as usize].fetch_add(1, SeqCst);
    let nth = NTH[call as usize].load(SeqCst);
    let fails = number == nth || (number > nth && LASTS.load(SeqCst));
    if fails {
        FAILED.store(true, SeqCst);
        // SAFETY: the C library's own place for it, of this thread.
        unsafe { *libc::__errno_location() = ERRNO.load(SeqCst) };
    }
    fails
}

fn is_the_database(fd: c_int) -> bool {
    let name = std::fs::read_link(format!("/proc/self/fd/{fd}"));
    name.is_ok_and(|name| name.extension().is_some_and(|suffix| suffix == "db"))
}

/// Waits while this sync is one that is held up.
fn is_held_up(fd: c_int) {
    let holds = || *HOLDS_UP.lock().unwrap() == Some(std::thread::current().id());
    while holds() && is_the_database(fd) {
        HELD_UP.store(true, SeqCst);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits while this is asked of a share that does not answer to it.
fn waits_for_the_share(asked: Silence, path: impl Fn() -> Option<PathBuf>) {
    let silent = || {
        let share = SHARE.lock().unwrap();
        let (folder, _) = share.as_ref().filter(|(_, to)| *to == asked)?;
        path().filter(|path| path.starts_with(folder))
    };
    // The test's own thread looks at what is there.
    while !SPARED.get() && silent().is_some() {
        HELD_UP.store(true, SeqCst);
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn path_of(fd: c_int) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()
}

fn is_a_file(fd: c_int) -> bool {
    kind_of(fd) == Some(libc::S_IFREG)
}

fn kind_of(fd: c_int) -> Option<libc::mode_t> {
    // SAFETY: it is written to, and may be all zeros before.
    let (done, data) = unsafe {
        let mut data: libc::stat = std::mem::zeroed();
        (libc::fstat(fd, &mut data), data)
    };
    (done == 0).then_some(data.st_mode & libc::S_IFMT)
}

#[unsafe(no_mangle)]
extern "C" fn pread64(fd: c_int, to: *mut c_void, size: usize, at: i64) -> isize {
    if fails(Call::Read, fd) {
        return -1;
    }
    // SAFETY: as the caller promised the C library.
    unsafe { libc::syscall(libc::SYS_pread64, fd, to, size, at) as isize }
}

#[unsafe(no_mangle)]
extern "C" fn read(fd: c_int, to: *mut c_void, size: usize) -> isize {
    if fails(Call::Read, fd) {
        return -1;
    }
    // SAFETY: as the caller promised the C library.
    unsafe { libc::syscall(libc::SYS_read, fd, to, size) as isize }
}

#[unsafe(no_mangle)]
extern "C" fn pwrite64(fd: c_int, from: *const c_void, size: usize, at: i64) -> isize {
    waits_for_the_share(Silence::Writing, || path_of(fd));
    if fails(Call::Write, fd) {
        return -1;
    }
    // SAFETY: as the caller promised the C library.
    unsafe {
        let written = libc::syscall(libc::SYS_pwrite64, fd, from, size, at) as isize;
        if let Ok(length) = usize::try_from(written) {
            let bytes = std::slice::from_raw_parts(from.cast(), length);
            platter::written(fd, at as usize, bytes);
        }
        written
    }
}

#[unsafe(no_mangle)]
extern "C" fn write(fd: c_int, from: *const c_void, size: usize) -> isize {
    if fails(Call::Write, fd) {
        return -1;
    }
    // SAFETY: as the caller promised the C library.
    unsafe { libc::syscall(libc::SYS_write, fd, from, size) as isize }
}

#[unsafe(no_mangle)]
extern "C" fn ftruncate64(fd: c_int, size: i64) -> c_int {
    if fails(Call::Truncate, fd) {
        return -1;
    }
    platter::cut(fd, size as usize);
    // SAFETY: as the caller promised the C library.
    unsafe { libc::syscall(libc::SYS_ftruncate, fd, size) as c_int }
}

/// Nobody pulls the plug in these tests, and a true sync takes longer than all the rest.
#[unsafe(no_mangle)]
extern "C" fn fsync(fd: c_int) -> c_int {
    is_held_up(fd);
    waits_for_the_share(Silence::Syncing, || path_of(fd));
    if fails(Call::Sync, fd) {
        platter::not_synced(fd);
        return -1;
    }
    if !SPARED.get() && kind_of(fd) == Some(libc::S_IFDIR) && is_its_turn(Call::SyncFolder) {
        return -1;
    }
    platter::synced(fd);
    0
}

/// The folder of a backup that is listed is asked of a share by this.
#[unsafe(no_mangle)]
extern "C" fn opendir(name: *const c_char) -> *mut libc::DIR {
    // SAFETY: as the caller promised the C library.
    let path = || {
        PathBuf::from(OsStr::from_bytes(
            unsafe { CStr::from_ptr(name) }.to_bytes(),
        ))
    };
    waits_for_the_share(Silence::Listing, || Some(path()));
    // SAFETY: the same; and the C library has the descriptor from here on.
    unsafe {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
        match libc::open(name, flags) {
            -1 => std::ptr::null_mut(),
            fd => libc::fdopendir(fd),
        }
    }
}

/// The C library's takes a mode after the flags, or nothing: what is passed on is not looked at then.
#[unsafe(no_mangle)]
extern "C" fn open64(name: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    // SAFETY: as the caller promised the C library.
    let path = || {
        Path::new(OsStr::from_bytes(
            unsafe { CStr::from_ptr(name) }.to_bytes(),
        ))
        .to_owned()
    };
    let unopened = || {
        let unopened = UNOPENED.lock().unwrap();
        unopened
            .as_ref()
            .is_some_and(|below| path().starts_with(below))
    };
    if !SPARED.get() && unopened() && is_its_turn(Call::Open) {
        return -1;
    }
    // SAFETY: as the caller promised the C library.
    unsafe {
        libc::syscall(
            libc::SYS_openat,
            libc::AT_FDCWD,
            name,
            flags | libc::O_LARGEFILE,
            mode,
        ) as c_int
    }
}
