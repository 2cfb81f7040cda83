//! Statistics come from rollups, and rollups are exactly what a full count says: after random
//! histories, under a host's own SQL, in adopted files, across days and offsets.

mod active;
mod any_sql;
mod bounded;
#[path = "../shared/child.rs"]
mod child;
mod endless;
mod exact;
mod filling;
#[path = "../shared/histories.rs"]
mod histories;
mod kept;
mod money;
mod odd;
mod offsets;
mod pieces;
mod recounting;
mod spans;
mod support;
mod usage;
#[path = "../shared/wait.rs"]
mod wait;
mod waiting;
mod zone_rules;
mod zones;
