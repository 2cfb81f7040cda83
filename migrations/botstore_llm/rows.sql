-- The rows that all the steps leave in a new file, beside those of the schema `botstore`.
INSERT INTO botstore_usage_counted
    SELECT 'botstore_usage', generation, -9223372036854775808 FROM botstore_total;
INSERT INTO botstore_usage_counted VALUES ('once', 0, 9223372036854775807);
