//! JSON values that are nested deeper than any stack: refused, and dropped, on whatever thread.

use crate::support::{everything_is_answered, populated, populated_with};
use crate::vocabulary::{Way, make, vocabulary};
use botstore::audit::LogEvent;
use botstore::interactions::SaveInteraction;
use botstore::metadata::{GetMetadata, SetMetadata};
use botstore::tools::{RecordToolUse, ToolCall};
use botstore::{ErrorKind, Mutation, Store};
use serde_json::{Map, Value};
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
enum Shape {
    Arrays,
    Objects,
    Mixed,
    /// With other values before and behind.
    Bushy,
}

/// A value of so many levels. Nothing here goes down into it.
fn nested(shape: Shape, levels: usize) -> Value {
    let object = |inner| Value::Object(Map::from_iter([("inner".to_owned(), inner)]));
    (0..levels).fold(Value::Null, |inner, level| match shape {
        Shape::Arrays => Value::Array(vec![inner]),
        Shape::Objects => object(inner),
        Shape::Mixed if level % 2 == 0 => object(inner),
        Shape::Mixed => Value::Array(vec![inner]),
        Shape::Bushy => Value::Array(vec![object(Value::Null), inner, 1.into()]),
    })
}

fn event(value: Value) -> LogEvent {
    LogEvent::new(1, "deep").event_data(value)
}

fn used(value: Value) -> RecordToolUse {
    RecordToolUse::new(1, "s", ToolCall::new("T").input(value))
}

fn saved(value: Value) -> SaveInteraction {
    SaveInteraction::new(1, "s", "")
        .tools(vec![ToolCall::new("T"), ToolCall::new("T").input(value)])
}

fn saved_with(value: Value) -> SaveInteraction {
    SaveInteraction::new(1, "s", "").metadata(value)
}

fn set(value: Value) -> SetMetadata {
    SetMetadata::new(1, value)
}

/// The messages with a value in them: those whose example has one.
#[test]
fn no_message_with_a_value_is_forgotten() {
    let tried = [
        LogEvent::name(),
        RecordToolUse::name(),
        SaveInteraction::name(),
        SetMetadata::name(),
    ];
    for kind in vocabulary() {
        let example = kind.example.to_string();
        let has_value = ["event_data", "tool_input", "metadata"]
            .iter()
            .any(|f| example.contains(f));
        assert_eq!(tried.contains(&kind.name), has_value, "{}", kind.name);
    }
}

async fn refused<M: Mutation>(store: &Store, message: M, way: Way, field: &str, context: &str) {
    let error = make(store, message, way).await.err().expect(context);
    assert_eq!(error.kind(), ErrorKind::Invalid, "{context}: {error}");
    assert_eq!(error.field(), Some(field), "{context}: {error}");
    assert_eq!(error.operation(), Some(M::name()), "{context}: {error}");
}

async fn all_are_refused(store: &Store, levels: usize, shape: Shape, way: Way) {
    let value = || nested(shape, levels);
    let context = format!("{levels} levels of {shape:?} by {way:?}");
    refused(store, event(value()), way, "event_data", &context).await;
    refused(store, used(value()), way, "tool_input", &context).await;
    refused(store, saved(value()), way, "tool_input", &context).await;
    refused(store, saved_with(value()), way, "metadata", &context).await;
    refused(store, set(value()), way, "metadata", &context).await;
}

const SHAPES: [Shape; 4] = [Shape::Arrays, Shape::Objects, Shape::Mixed, Shape::Bushy];

/// Those by which a message comes from a caller. Through a port it is on a thread of the store's when
/// it is refused.
const WAYS: [Way; 3] = [Way::Direct, Way::Try, Way::Port];

/// Runs a caller on a thread with so large a stack.
fn on_a_stack_of(bytes: usize, caller: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(bytes);
    let thread = thread.spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        runtime.block_on(caller);
    });
    thread.expect("a thread").join().expect("no panic");
}

#[test]
fn a_value_deeper_than_a_usual_stack_is_refused_before_it_is_sent() {
    on_a_stack_of(2 << 20, async {
        let store = populated().await;
        for (shape, way) in SHAPES.iter().flat_map(|&s| WAYS.map(|way| (s, way))) {
            all_are_refused(&store, 128, shape, way).await;
            all_are_refused(&store, 20_000, shape, way).await;
        }
        all_are_refused(&store, 1_000_000, Shape::Mixed, Way::Port).await;
        everything_is_answered(&store, "values without a bottom").await;
        store.close().await.expect("closed");
    });
}

/// A caller that could write and drop such a value. The store's threads could not.
#[test]
fn a_caller_with_a_large_stack_does_not_bring_down_the_store() {
    on_a_stack_of(512 << 20, async {
        let store = populated().await;
        for (shape, way) in SHAPES.iter().flat_map(|&s| WAYS.map(|way| (s, way))) {
            all_are_refused(&store, 20_000, shape, way).await;
        }
        all_are_refused(&store, 1_000_000, Shape::Mixed, Way::Direct).await;
        everything_is_answered(&store, "values without a bottom").await;
        store.close().await.expect("closed");
    });
}

#[tokio::test]
async fn a_closed_store_refuses_a_deep_value_as_well() {
    let store = populated().await;
    store.close().await.expect("closed");
    for way in [Way::Direct, Way::Try] {
        all_are_refused(&store, 20_000, Shape::Mixed, way).await;
    }
}

/// What is scheduled is made, refused and dropped on a thread of the store's.
#[tokio::test]
async fn a_scheduled_message_with_a_deep_value_does_not_bring_down_the_store() {
    let every = Duration::from_secs(1);
    let store =
        populated_with(|config| config.every(every, || event(nested(Shape::Mixed, 20_000))));
    let store = store.await;
    for _ in 0..3 {
        store.clock().advance(2 * every);
        store.run_due().await.expect("a look");
    }
    everything_is_answered(&store, "a schedule of deep values").await;
    store.close().await.expect("closed");
}

#[tokio::test]
async fn the_deepest_value_that_can_be_read_again_is_kept() {
    let store = populated().await;
    for shape in SHAPES {
        for way in Way::ALL {
            // A bush has another level in its twigs.
            let value = nested(shape, 126);
            make(&store, event(value.clone()), way)
                .await
                .expect("an id");
            make(&store, used(value.clone()), way).await.expect("an id");
            make(&store, saved(value.clone()), way)
                .await
                .expect("a receipt");
            make(&store, saved_with(value.clone()), way)
                .await
                .expect("a receipt");
            make(&store, set(value.clone()), way).await.expect("set");
            let kept = store.read(GetMetadata::new(1)).await.expect("a read");
            assert_eq!(kept, Some(value));
        }
    }
}
