//! Random histories: the model and the store do each step, and then all that the store answers is compared.

use crate::Model;
use crate::steps::steps;
use botstore::testing::TestStore;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_random_history_is_what_a_plain_model_says(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = TestStore::open().await.unwrap();
            let mut model = Model::default();
            for step in &steps {
                model.step(step, &store).await;
            }
            model.compare(&store).await;
            store.close().await.unwrap();
        });
    }
}
