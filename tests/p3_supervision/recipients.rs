//! Addresses and recipients that a bot's actors hold outlive every restart.

use crate::common::{Numbers, Put, answered, until};
use crate::load::Told;
use crate::provoke::*;
use crate::subscriber::{At, panics};
use crate::trial::trial;
use actix::{Addr, Recipient};
use botstore::backup::TakeBackup;
use botstore::{BackupActor, ErrorKind, Read, Role, Write};

#[tokio::test]
async fn recipients_held_from_before_work_after_every_actor_was_started_again() {
    let _alone = crate::alone().await;
    let lines = [LOST, CHECKPOINT, RUN_FAILED, BACKUP_FAILED];
    let armed = panics(&lines.map(|line| At::Line(line, 1)));
    let trial = trial(|config, folder| {
        let config = settings(LOST, config, folder);
        let config = settings(CHECKPOINT, config, folder);
        settings(RUN_FAILED, config, folder)
    })
    .await;
    let store = &trial.store;
    let put: Recipient<Write<Put>> = store.mutations().recipient();
    let numbers: Recipient<Read<Numbers>> = store.queries().recipient();
    let backups: Addr<BackupActor> = store.backup_actor();
    let mut number = 0;
    for line in [LOST, CHECKPOINT, RUN_FAILED] {
        if line == CHECKPOINT {
            until("a checkpoint", async || {
                number += 1;
                answered(put.send(Write(Put::new(number))))
                    .await
                    .unwrap()
                    .unwrap();
                armed.hits(line) > 0
            })
            .await;
        } else if line == LOST {
            let lock = lock(&trial);
            until("the lock is waited for", async || {
                let answer = answered(put.send(Write(Put::new(-1)))).await.unwrap();
                assert_eq!(answer.unwrap_err().kind(), ErrorKind::Busy);
                armed.hits(line) > 0
            })
            .await;
            drop(lock);
        } else {
            provoke(line, &trial, &armed, 1).await;
        }
        trial.until_restarted(role(line).unwrap(), 1).await;
        number += 1;
        let answer = answered(put.send(Write(Put::new(number)))).await.unwrap();
        assert_eq!(answer.unwrap(), number);
        let seen = answered(numbers.send(Read(Numbers)))
            .await
            .unwrap()
            .unwrap();
        assert!(seen.contains(&number));
    }
    // Where the folder of the backups was to be is a file, until it goes.
    let in_the_way = trial.folder.path().join("x.backups");
    let other = trial.folder.path().join("x.db.backups");
    for path in [&in_the_way, &other] {
        std::fs::write(path, "my notes").unwrap();
    }
    let refused = answered(backups.send(TakeBackup::default())).await.unwrap();
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Panicked);
    trial.until_restarted(Role::Backups, 1).await;
    for path in [&in_the_way, &other] {
        std::fs::remove_file(path).unwrap();
    }
    let made = answered(backups.send(TakeBackup::default())).await.unwrap();
    made.unwrap();
    trial.ends(&Told::default()).await.unwrap();
}
