-- The rows that all the steps leave in a new file. `-9223372036854775808` is before the first id, its opposite after the
-- last one.
INSERT INTO schema_version (version) VALUES (1), (2);
INSERT INTO botstore_store (id, store_id) VALUES (1, lower(hex(randomblob(16))));
INSERT INTO botstore_counted (source, generation, last_id) VALUES
    ('messages', 0, -9223372036854775808),
    ('tool_usage', 0, -9223372036854775808),
    ('cost_tracking', 0, 9223372036854775807);
INSERT INTO botstore_zone (generation, since, offset_seconds, zone) VALUES (0, '0000-01-01 00:00:00', 0, 'UTC');
INSERT INTO botstore_total (generation, users, sessions, repairs) VALUES (0, 0, 0, 0);
