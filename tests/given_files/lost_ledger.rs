//! A ledger of which another program has removed rows: nobody is sent round in a circle.

use crate::support::{Given, run};
use botstore::{ErrorKind, Store};

#[tokio::test]
async fn a_file_whose_ledger_lost_rows_is_refused_and_only_a_backup_helps() {
    let corrupt = (ErrorKind::Corrupt, 3);
    for (lost, (kind, code)) in [
        ("DELETE FROM botstore_ledger", corrupt),
        (
            "DELETE FROM botstore_ledger WHERE schema = 'botstore'",
            corrupt,
        ),
        (
            "DELETE FROM botstore_ledger WHERE schema = 'botstore_llm'",
            corrupt,
        ),
        (
            "DELETE FROM botstore_ledger WHERE schema = 'botstore' AND step > 3",
            corrupt,
        ),
        (
            "DELETE FROM botstore_ledger WHERE schema = 'botstore_llm' AND step = 5",
            corrupt,
        ),
        ("DROP TABLE botstore_ledger", (ErrorKind::ForeignFile, 1)),
    ] {
        let given = Given::file().await;
        given.forge(lost);
        let ran = run("migrate", &given.path, &[]).came_to(code);
        assert!(ran.err.contains("restore a backup"), "{lost}: {}", ran.err);
        let refused = Store::open(given.config()).await.expect_err(lost);
        assert_eq!(refused.kind(), kind, "{lost}: {refused}");
        // What another program removed is all that is gone.
        let sql = "SELECT count(*) FROM messages";
        let messages = given.conn().query_row(sql, [], |row| row.get::<_, i64>(0));
        assert!(messages.expect(sql) > 0, "{lost}");
    }
}
