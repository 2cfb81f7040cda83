//! Another program that has the file open.

use crate::child::{Victim, again};
use crate::stuck;
use botstore::rusqlite::{Connection, OpenFlags};
use std::cell::Cell;
use std::path::Path;

/// The child: says when it is in the middle of its query, which never ends.
pub(crate) fn never_ends_its_query(path: &str) {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let told = Cell::new(false);
    conn.create_scalar_function("tell", 0, Default::default(), move |_| {
        if !told.replace(true) {
            println!("\nholding");
        }
        Ok(0)
    })
    .unwrap();
    let endless = "WITH RECURSIVE n(i) AS (
                       SELECT count(*) FROM probe UNION ALL SELECT i + tell() FROM n
                   ) SELECT count(*) FROM n";
    conn.query_row(endless, [], |_| Ok(())).unwrap();
}

/// Another program that reads; killed when it is dropped.
pub(crate) struct Outsider(Victim);

impl Outsider {
    /// One that is in the middle of its query.
    pub(crate) fn start(path: &Path) -> Self {
        let test =
            stuck::beside_another_program_that_never_ends_its_query_writes_go_on_until_it_is_killed;
        let mut child = Victim::start(again(&[], test, &[path]));
        assert!(child.says("holding"), "it ended");
        Self(child)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}
