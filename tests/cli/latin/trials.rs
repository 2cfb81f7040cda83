//! What is tried of each command.

use super::{behind, both, database, only_backup, with_backup, words};
use crate::support::SET_A_LIMIT;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;

const AGE: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

/// A command, and what of it was tried. Each takes every path that it can take.
pub(super) type Trial = (
    &'static str,
    fn() -> BTreeSet<OsString>,
    &'static [&'static [u8]],
);

pub(super) const TRIALS: &[Trial] = &[
    (
        "status",
        || {
            both("status", |scene| {
                words([&database(scene), &"--backups", &scene.path("else")])
            })
        },
        &[b"\xe4bot.db", b"\xe4else"],
    ),
    (
        "check",
        || both("check", |scene| words([&database(scene)])),
        &[],
    ),
    (
        "check",
        || both("check", |scene| words([&database(scene), &"--repair"])),
        &[],
    ),
    (
        "dashboard",
        || both("dashboard", |scene| words([&database(scene)])),
        &[],
    ),
    (
        "prices",
        || both("prices", |scene| words([&database(scene)])),
        &[],
    ),
    (
        "prices",
        || {
            both("prices", |scene| {
                let json = scene.path("prices.json");
                fs::write(&json, "{}").unwrap();
                words([&database(scene), &"import", &json])
            })
        },
        &[],
    ),
    (
        "usage",
        || both("usage", |scene| words([&database(scene)])),
        &[],
    ),
    (
        "limits",
        || both("limits", |scene| words([&database(scene)])),
        &[],
    ),
    (
        "limits",
        || {
            both("limits", |scene| {
                let limit = SET_A_LIMIT.iter().map(OsString::from);
                words([&database(scene)]).into_iter().chain(limit).collect()
            })
        },
        &[],
    ),
    (
        "migrate",
        || both("migrate", |scene| words([&behind(scene), &"--plan"])),
        &[],
    ),
    (
        "migrate",
        || {
            both("migrate", |scene| {
                words([
                    &behind(scene),
                    &"--backups",
                    &scene.path("else"),
                    &"--key",
                    &scene.key("key"),
                ])
            })
        },
        &[],
    ),
    (
        "rollback",
        || {
            both("rollback", |scene| {
                words([
                    &database(scene),
                    &"--to",
                    &"5",
                    &"--backups",
                    &scene.path("else"),
                ])
            })
        },
        &[],
    ),
    (
        "backup",
        || {
            both("backup", |scene| {
                words([
                    &database(scene),
                    &"--to",
                    &scene.path("else"),
                    &"--key",
                    &scene.key("key"),
                ])
            })
        },
        &[],
    ),
    (
        "backup",
        || both("backup", |scene| words([&database(scene), &"--compact"])),
        &[],
    ),
    (
        "backup",
        || {
            both("backup", |scene| {
                words([&database(scene), &"--recipient", &AGE])
            })
        },
        &[],
    ),
    (
        "backups",
        || {
            both("backups", |scene| {
                let file = database(scene);
                scene.run(&["backup".as_ref(), file.as_os_str()]).came_to(0);
                words([&file])
            })
        },
        &[b"\xe4bot.db.backups"],
    ),
    (
        "backups",
        || {
            both("backups", |scene| {
                let (to, key) = (scene.path("else"), scene.key("key"));
                with_backup(scene, &to, &["--key".as_ref(), key.as_os_str()]);
                words([&to, &"--key", &key])
            })
        },
        &[b"\xe4else"],
    ),
    (
        "verify",
        || {
            both("verify", |scene| {
                let (to, key, scratch) =
                    (scene.path("else"), scene.key("key"), scene.path("scratch"));
                fs::create_dir(&scratch).unwrap();
                with_backup(scene, &to, &["--key".as_ref(), key.as_os_str()]);
                words([&only_backup(&to), &"--key", &key, &"--scratch", &scratch])
            })
        },
        &[],
    ),
    (
        "verify",
        || {
            both("verify", |scene| {
                let age = botstore::backup::AgeIdentity::generate();
                let (to, identity) = (scene.path("else"), scene.path("identity"));
                fs::write(&identity, age.to_secret()).unwrap();
                let recipient = age.recipient().to_string();
                with_backup(scene, &to, &["--recipient".as_ref(), recipient.as_ref()]);
                words([&only_backup(&to), &"--identity", &identity])
            })
        },
        &[],
    ),
    (
        "restore",
        || {
            both("restore", |scene| {
                let to = scene.path("else");
                let file = with_backup(scene, &to, &[]);
                words([
                    &only_backup(&to),
                    &"--to",
                    &file,
                    &"--replace",
                    &"--revoke-tokens",
                ])
            })
        },
        &[b"\xe4bot.db"],
    ),
    (
        "prune",
        || {
            both("prune", |scene| {
                let to = scene.path("else");
                with_backup(scene, &to, &[]);
                words([&to, &"--dry-run"])
            })
        },
        &[],
    ),
    (
        "prune",
        || {
            both("prune", |scene| {
                let to = scene.path("else");
                for _ in 0..3 {
                    with_backup(scene, &to, &[]);
                }
                let most = ["--hourly", "--daily", "--weekly", "--monthly", "--yearly"];
                let most = most.iter().flat_map(|rule| [rule.into(), "0".into()]);
                words([&to, &"--last", &"1"])
                    .into_iter()
                    .chain(most)
                    .collect()
            })
        },
        &[],
    ),
    (
        "export",
        || both("export", |scene| words([&database(scene)])),
        &[],
    ),
    (
        "export",
        || {
            both("export", |scene| {
                words([&database(scene), &"--out", &scene.path("out")])
            })
        },
        &[b"\xe4out"],
    ),
];
