//! The C library's functions that ask a disk for something: SQLite, and the rest of this program, call these
//! where they mean the C library's, because the linker finds them first. What they do not fail goes on to
//! the kernel.
//!
//! A VFS of SQLite's was turned down: between it and the disk is the code that makes SQLite's errors
//! of the system's, and backups do not go through it.

use crate::disk::{
    Call, Silence, fails, fails_in_a_folder, fails_to_open, is_held_up, path_of,
    waits_for_the_share, with_platter,
};
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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
            with_platter(|platter| platter.written(fd, at as usize, bytes));
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
    with_platter(|platter| platter.cut(fd, size as usize));
    // SAFETY: as the caller promised the C library.
    unsafe { libc::syscall(libc::SYS_ftruncate, fd, size) as c_int }
}

/// Nobody pulls the plug in these tests, and a true sync takes longer than all the rest.
#[unsafe(no_mangle)]
extern "C" fn fsync(fd: c_int) -> c_int {
    is_held_up(fd);
    waits_for_the_share(Silence::Syncing, || path_of(fd));
    if fails(Call::Sync, fd) {
        with_platter(|platter| platter.not_synced(fd));
        return -1;
    }
    if fails_in_a_folder(fd) {
        return -1;
    }
    with_platter(|platter| platter.synced(fd));
    0
}

/// The folder of a backup that is listed is asked of a share by this.
#[unsafe(no_mangle)]
extern "C" fn opendir(name: *const c_char) -> *mut libc::DIR {
    // SAFETY: as the caller promised the C library.
    let path = unsafe { path(name) };
    waits_for_the_share(Silence::Listing, || Some(path.to_owned()));
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
    if fails_to_open(unsafe { path(name) }) {
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

/// # Safety
///
/// A string of C's, which lives as long.
unsafe fn path<'a>(name: *const c_char) -> &'a Path {
    // SAFETY: as above.
    Path::new(OsStr::from_bytes(
        unsafe { CStr::from_ptr(name) }.to_bytes(),
    ))
}
