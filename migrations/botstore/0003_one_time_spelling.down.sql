-- Every reader of the old spellings reads the new one too, so the times stay.
DROP INDEX botstore_stray_user_tokens;
DROP INDEX botstore_stray_audit_log;
DROP INDEX botstore_stray_tool_usage;
DROP INDEX botstore_stray_messages;
DROP INDEX botstore_stray_sessions;
DROP INDEX botstore_stray_users;
