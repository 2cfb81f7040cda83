//! Which disk a thread works on: that of the test whose store started it. A thread that is started works on the
//! disk of the one that starts it, so each test has a disk of its own, and no test waits for another's.
//!
//! To tell disks by the folder was turned down: SQLite's temporary files are in another one.

use crate::disk::Disk;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

thread_local! {
    /// On the test's own thread, where nothing of the store runs, the disk never fails.
    static SPARED: Cell<bool> = const { Cell::new(false) };
    static DISK: Cell<Option<&'static Disk>> = const { Cell::new(None) };
}

/// Gives this thread, which is a test's own, a new disk.
pub(crate) fn begin() {
    // There are as many as tests, and threads that nobody waits for may outlive their test.
    DISK.set(Some(Box::leak(Box::default())));
    SPARED.set(true);
}

/// The disk of this thread's test.
pub(crate) fn disk() -> Option<&'static Disk> {
    DISK.get()
}

/// The disk that may fail here.
pub(crate) fn failing() -> Option<&'static Disk> {
    disk().filter(|_| !SPARED.get())
}

/// What a new thread runs.
type Start = extern "C" fn(*mut c_void) -> *mut c_void;

type Create = unsafe extern "C" fn(
    *mut libc::pthread_t,
    *const libc::pthread_attr_t,
    Start,
    *mut c_void,
) -> c_int;

struct Begins {
    disk: Option<&'static Disk>,
    start: Start,
    given: *mut c_void,
}

extern "C" fn begins(begins: *mut c_void) -> *mut c_void {
    // SAFETY: `pthread_create` made it, for this call alone.
    let begins = unsafe { Box::from_raw(begins.cast::<Begins>()) };
    let Some(disk) = begins.disk else {
        return (begins.start)(begins.given);
    };
    DISK.set(Some(disk));
    // SAFETY: it takes nothing, and always succeeds.
    let number = unsafe { libc::gettid() };
    disk.thread_begins(number);
    let result = (begins.start)(begins.given);
    disk.thread_ends(number);
    result
}

/// The standard library starts threads by it.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    given: *mut c_void,
) -> c_int {
    static CREATE: OnceLock<Create> = OnceLock::new();
    // SAFETY: the C library's own function of this name, which has this type.
    let create = CREATE.get_or_init(|| unsafe {
        let create = libc::dlsym(libc::RTLD_NEXT, c"pthread_create".as_ptr());
        assert!(!create.is_null(), "the C library starts no threads");
        std::mem::transmute::<*mut c_void, Create>(create)
    });
    let disk = DISK.get();
    let begun = Box::into_raw(Box::new(Begins { disk, start, given }));
    // SAFETY: as the caller promised the C library; and a thread that is not started takes nothing.
    unsafe {
        let failed = create(thread, attributes, begins, begun.cast());
        if failed != 0 {
            drop(Box::from_raw(begun));
        }
        failed
    }
}
