DROP TRIGGER botstore_usage_gone;
DROP TRIGGER botstore_usage_moved;
DROP TABLE botstore_usage;
