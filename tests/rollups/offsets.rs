//! Steps, and their taking back, in a file whose day does not begin at midnight UTC.

use crate::support::zone_of;
use botstore::analytics::SystemStats;
use botstore::interactions::SaveInteraction;
use botstore::messages::DeleteMessage;
use botstore::rollups::ReconcileRollups;
use botstore::testing::FixedClock;
use botstore::{BeforeUpgrade, Config, Durability, Store, UnknownTriggers, schema};
use chrono::{TimeZone, Utc};

#[tokio::test]
async fn a_day_that_begins_elsewhere_stays_so_through_steps_and_their_taking_back() {
    for offset in [-11 * 60, 120, 345] {
        let folder = tempfile::tempdir().unwrap();
        let clock = FixedClock::at(Utc.with_ymd_and_hms(2026, 1, 1, 23, 0, 0).unwrap());
        let config = |name: &str| {
            let config = Config::new(folder.path().join(name)).clock(clock.clone());
            let config = config.unknown_triggers(UnknownTriggers::Refuse);
            config
                .durability(Durability::Normal)
                .before_upgrade(BeforeUpgrade::Skip)
        };
        let first = config("back.db").time_zone(zone_of(offset));
        let store = Store::open(first).await.unwrap();
        let saved = store.write(said()).await.unwrap();
        let back = store.path().to_owned();
        store.close().await.unwrap();
        schema::rollback(config("back.db"), "botstore", 9).unwrap();
        // What a later program says of it: nothing, the same, or midnight UTC.
        for then in [None, Some(offset), Some(0)] {
            let name = format!("{then:?}.db");
            std::fs::copy(&back, folder.path().join(&name)).unwrap();
            let config = || config(&name);
            let later = match then {
                Some(minutes) => config().time_zone(zone_of(minutes)),
                None => config(),
            };
            let store = Store::open(later).await.unwrap();
            let zone = match then {
                Some(0) => "UTC".to_owned(),
                _ => zone_of(offset),
            };
            let stats = store.read(SystemStats::new()).await.unwrap();
            assert_eq!(stats.time_zone, zone, "{offset} {then:?}");
            let more = store.write(said()).await.unwrap();
            for message in [saved.message_id, more.message_id] {
                let report = store.read(ReconcileRollups::new()).await.unwrap();
                assert_eq!(
                    report.differences, 0,
                    "{offset} {then:?}: {:?}",
                    report.named
                );
                store.write(DeleteMessage::new(1, message)).await.unwrap();
            }
            let report = store.read(ReconcileRollups::new()).await.unwrap();
            assert_eq!(
                report.differences, 0,
                "{offset} {then:?}: {:?}",
                report.named
            );
            assert!(
                store
                    .health()
                    .await
                    .unwrap()
                    .unknown_objects
                    .first
                    .is_empty()
            );
            store.close().await.unwrap();
        }
    }
}

fn said() -> SaveInteraction {
    SaveInteraction::new(1, "s", "?").creating("/srv")
}
