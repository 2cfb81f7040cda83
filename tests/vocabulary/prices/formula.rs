//! The cost of tokens is exact, and rounded once.

use crate::support::{ADA, populated, refused};
use botstore::ErrorKind::Invalid;
use botstore::Usd;
use botstore::costs::AddCost;
use botstore::prices::ModelPrice;
use botstore::testing::usd;
use botstore::usage::Usage;
use proptest::prelude::*;

const MILLION: i128 = 1_000_000;

fn parrot() -> ModelPrice {
    ModelPrice::new("acme", "parrot", usd(3.0), usd(15.0))
}

fn usage() -> Usage {
    Usage::new("acme", "parrot")
}

fn nanos(price: &ModelPrice, usage: &Usage) -> Option<i64> {
    price.cost(usage).expect("a cost").map(Usd::nanos)
}

#[test]
fn each_kind_of_tokens_has_its_price() {
    let price = parrot()
        .cached_input(usd(0.3))
        .cache_write(usd(3.75))
        .reasoning(usd(60.0));
    let used = usage().input_tokens(1_000).output_tokens(100);
    // 1,000 × 3 $ + 100 × 15 $, for a million.
    assert_eq!(nanos(&price, &used), Some(4_500_000));
    let used = used
        .cached_input_tokens(600)
        .cache_write_tokens(300)
        .reasoning_tokens(40);
    // 100 × 3 $ + 600 × 0.3 $ + 300 × 3.75 $ + 60 × 15 $ + 40 × 60 $.
    assert_eq!(
        nanos(&price, &used),
        Some(300_000 + 180_000 + 1_125_000 + 900_000 + 2_400_000)
    );
    // What has no price of its own costs as much as what it is a part of.
    assert_eq!(nanos(&parrot(), &used), Some(4_500_000));
    // Free is not the same as without a price.
    let free = parrot()
        .cached_input(Usd::ZERO)
        .cache_write(Usd::ZERO)
        .reasoning(Usd::ZERO);
    assert_eq!(nanos(&free, &used), Some(300_000 + 900_000));
}

#[test]
fn a_kind_that_is_not_known_counts_as_none_and_without_input_and_output_there_is_no_cost() {
    let price = parrot()
        .cached_input(usd(0.3))
        .cache_write(usd(3.75))
        .reasoning(usd(60.0));
    for (used, cost) in [
        (usage(), None),
        (usage().cached_input_tokens(10), None),
        (usage().cache_write_tokens(10).reasoning_tokens(10), None),
        (usage().input_tokens(0), Some(0)),
        (usage().output_tokens(0), Some(0)),
        (usage().input_tokens(10), Some(30_000)),
        (usage().output_tokens(10), Some(150_000)),
        // A part counts as such, even if its whole is not known.
        (
            usage().output_tokens(10).cached_input_tokens(10),
            Some(153_000),
        ),
        (usage().input_tokens(10).reasoning_tokens(10), Some(630_000)),
        (
            usage().input_tokens(10).cached_input_tokens(10),
            Some(3_000),
        ),
        // Parts that exceed their whole.
        (usage().input_tokens(5).cached_input_tokens(10), Some(3_000)),
    ] {
        assert_eq!(nanos(&price, &used), cost, "{used:?}");
    }
}

#[test]
fn half_of_a_nano_dollar_is_rounded_up_and_only_the_sum_is_rounded() {
    // So many nano-dollars for a million tokens.
    let price = |input, output| {
        ModelPrice::new(
            "acme",
            "parrot",
            Usd::from_nanos(input),
            Usd::from_nanos(output),
        )
    };
    for (input, output, used, cost) in [
        (499_999, 0, usage().input_tokens(1), 0),
        (500_000, 0, usage().input_tokens(1), 1),
        (1_499_999, 0, usage().input_tokens(1), 1),
        (1_500_000, 0, usage().input_tokens(1), 2),
        // Each part by itself would be rounded to 0, or to 1.
        (
            300_000,
            300_000,
            usage().input_tokens(1).output_tokens(1),
            1,
        ),
        (
            500_000,
            500_000,
            usage().input_tokens(1).output_tokens(1),
            1,
        ),
    ] {
        assert_eq!(
            nanos(&price(input, output), &used),
            Some(cost),
            "{input} {output}"
        );
    }
}

#[tokio::test]
async fn more_than_9_million_dollars_is_an_error_that_names_the_price_and_changes_nothing() {
    let most = usd(9e6);
    let price = ModelPrice::new("acme", "parrot", most, most);
    let used = |tokens| usage().input_tokens(tokens);
    assert_eq!(price.cost(&used(1_000_000)).expect("a cost"), Some(most));
    for tokens in [1_000_001, 1_000_000_000_000, u64::MAX] {
        let error = price
            .cost(&used(tokens).output_tokens(tokens))
            .expect_err("too much");
        assert_eq!(
            (error.kind(), error.field()),
            (Invalid, Some("cost")),
            "{error}"
        );
        assert!(error.to_string().contains("parrot"), "{error}");
    }
    // Prices that no store takes overflow nothing either.
    for nanos in [i64::MIN, i64::MAX] {
        let price = ModelPrice::new(
            "acme",
            "parrot",
            Usd::from_nanos(nanos),
            Usd::from_nanos(nanos),
        );
        let used = used(u64::MAX).output_tokens(u64::MAX);
        let used = used
            .cached_input_tokens(u64::MAX)
            .cache_write_tokens(u64::MAX);
        let used = used.reasoning_tokens(u64::MAX);
        assert!(price.cost(&used).is_err(), "{nanos}");
    }
    let store = populated().await;
    super::set(&store, "parrot", 9e6, 9e6, store.now()).await;
    let wrong = AddCost::new(ADA, Usd::ZERO).usage(used(1_000_001));
    refused(&store, wrong, Invalid, "cost").await;
    let wrong =
        botstore::interactions::SaveInteraction::new(ADA, "ada-1", "p").usage(used(1_000_001));
    refused(&store, wrong, Invalid, "cost").await;
    let right = AddCost::new(ADA, Usd::ZERO).usage(used(1_000_000));
    store.write(right).await.expect("the most");
}

fn tokens() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        Just(None),
        (0..50_u64).prop_map(Some),
        (0..=1_000_000_000_u64).prop_map(Some)
    ]
}

fn cents() -> impl Strategy<Value = Usd> {
    prop_oneof![0..3_000_000_i64, 0..=100_000_000_000_i64].prop_map(Usd::from_nanos)
}

proptest! {
    #[test]
    fn a_cost_is_the_nearest_to_the_exact_one(
        wholes in (tokens(), tokens()),
        shares in (0..=100_u64, 0..=100_u64, 0..=100_u64),
        prices in (cents(), cents(), proptest::option::of(cents()), proptest::option::of(cents()), proptest::option::of(cents())),
    ) {
        let (input, output) = wholes;
        // Parts of what is known.
        let cached = input.map_or(0, |input| input * shares.0 / 100);
        let written = input.map_or(0, |input| (input - cached) * shares.1 / 100);
        let reasoning = output.map_or(0, |output| output * shares.2 / 100);
        let mut used = usage();
        used.input_tokens = input;
        used.output_tokens = output;
        used.cached_input_tokens = Some(cached);
        used.cache_write_tokens = Some(written);
        used.reasoning_tokens = Some(reasoning);
        let mut price = ModelPrice::new("acme", "parrot", prices.0, prices.1);
        price.cached_input = prices.2;
        price.cache_write = prices.3;
        price.reasoning = prices.4;
        let cost = price.cost(&used).expect("a cost");
        prop_assert_eq!(cost.is_none(), input.is_none() && output.is_none());
        if let Some(cost) = cost {
            // In millionths of a nano-dollar, which are whole: the whole, and what its parts cost more or less.
            let n = |tokens: u64, price: Usd| i128::from(tokens) * i128::from(price.nanos());
            let other = |tokens, price: Option<Usd>, whole| price.map_or(0, |price| n(tokens, price) - n(tokens, whole));
            let exact = n(input.unwrap_or(0), price.input) + n(output.unwrap_or(0), price.output)
                + other(cached, price.cached_input, price.input)
                + other(written, price.cache_write, price.input)
                + other(reasoning, price.reasoning, price.output);
            let off = i128::from(cost.nanos()) * MILLION - exact;
            prop_assert!(-MILLION / 2 < off && off <= MILLION / 2, "{} {}", cost, off);
        }
    }
}
