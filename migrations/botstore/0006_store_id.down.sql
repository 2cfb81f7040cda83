DROP TABLE botstore_store;
