//! An upgrade in parts: `apply_to` stops at the step that it was told.

use crate::support::{ALL, File, Pets, kind};
use botstore::{BeforeUpgrade, ErrorKind, Result, schema};

impl File {
    fn apply_to(&self, name: &str, to: u32) -> Result<Vec<(String, u32)>> {
        let config = self.with::<Pets<3>>().before_upgrade(BeforeUpgrade::Skip);
        let done = schema::apply_to(config, name, to)?.steps;
        Ok(done.into_iter().map(|s| (s.schema, s.step)).collect())
    }
}

fn pets(steps: impl IntoIterator<Item = u32>) -> Vec<(String, u32)> {
    let named = steps.into_iter().map(|step| ("pets".to_owned(), step));
    named.collect()
}

#[test]
fn steps_are_applied_up_to_one_and_the_rest_later() {
    let file = File::new();
    file.apply::<Pets<0>>().expect("ours");
    assert_eq!(file.apply_to("pets", 2).expect("two"), pets([1, 2]));
    assert_eq!(file.steps(), [1, 2]);
    assert_eq!(file.apply_to("pets", 2).expect("nothing"), []);
    file.apply::<Pets<3>>().expect("the rest");
    assert_eq!(file.steps(), [1, 2, 3]);
    assert_eq!(ALL.len(), 3);
}

#[test]
fn the_steps_of_other_schemas_stay_as_they_are() {
    let file = File::new();
    file.apply::<Pets<1>>().expect("one");
    schema::rollback(&file.path, "botstore", 4).expect("ours back");
    assert_eq!(file.apply_to("pets", 2).expect("one more"), pets([2]));
    let plan = schema::plan(file.with::<Pets<3>>()).expect("plan");
    let left = |schema| {
        let of_it = plan.steps.iter().filter(move |s| s.schema == schema);
        of_it.map(|s| s.step).collect::<Vec<_>>()
    };
    assert_eq!(left("pets"), [3]);
    assert_eq!(left("botstore")[..2], [5, 6]);
}

#[test]
fn what_cannot_be_reached_by_applying_is_refused() {
    let file = File::new();
    assert_eq!(kind(file.apply_to("pets", 1)), ErrorKind::NotFound);
    assert!(!file.path.exists(), "it makes no file");
    file.apply::<Pets<2>>().expect("two");
    let before = file.dump();
    assert_eq!(kind(file.apply_to("pets", 1)), ErrorKind::Invalid);
    assert_eq!(kind(file.apply_to("pets", 4)), ErrorKind::Invalid);
    assert_eq!(kind(file.apply_to("cats", 1)), ErrorKind::NotFound);
    file.assert_unchanged(&before);
}
