//! `strace`, where there is one: has a child's system calls fail, or kills the child at one of them.

use crate::child::works;

const STRACE: [&str; 5] = ["strace", "-f", "-qq", "-o", "/dev/null"];

pub(crate) fn has_strace() -> bool {
    let works = works(&[&STRACE[..], &["true"]].concat());
    if !works {
        eprintln!("skipped: there is no strace to have calls fail with");
    }
    works
}

/// With this done to each call whose name matches.
pub(crate) fn tampered(call: &str, with: &str) -> Vec<String> {
    let words = STRACE.map(str::to_owned).into_iter();
    let more = [format!("trace={call}"), format!("inject={call}:{with}")];
    let more = more.into_iter().flat_map(|word| ["-e".to_owned(), word]);
    words.chain(more).collect()
}

pub(crate) fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}
