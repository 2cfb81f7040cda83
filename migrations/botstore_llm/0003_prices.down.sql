DROP TABLE botstore_price;
