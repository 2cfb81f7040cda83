//! The promises of `examples/bot`, kept by the built program: its memory outlives it.

#[path = "../shared/example.rs"]
mod example;
#[path = "../shared/midday.rs"]
mod midday;
mod redelivered;
mod reminders;
mod spending;
#[path = "../shared/wait.rs"]
mod wait;

#[cfg(unix)]
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
#[cfg(unix)]
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::{Receiver, channel};
#[cfg(unix)]
use std::time::Duration;
use wait::HANG;

fn command(db: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(example::program("bot"));
    command.arg("--db").arg(db).args(more);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A bot that one talks to.
struct Bot {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Bot {
    fn start(db: &Path) -> Self {
        let mut process = command(db, &["--name", "ada"]).spawn().expect("start");
        let stdout = process.stdout.take().expect("stdout");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            stdin: process.stdin.take(),
            process,
            lines,
        }
    }

    fn say(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("it still listens");
        writeln!(stdin, "{text}").expect("say");
    }

    /// Waits for a line with this in it.
    fn hear(&self, expected: &str) -> String {
        let mut heard = Vec::new();
        loop {
            match self.lines.recv_timeout(HANG) {
                Ok(line) if line.contains(expected) => return line,
                Ok(line) => heard.push(line),
                Err(_) => panic!("no line with {expected:?}, but {heard:#?}"),
            }
        }
    }

    #[cfg(unix)]
    fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.expect("kill").success());
    }

    /// Everything that it says from here to its end, which has to come.
    #[cfg(unix)]
    fn last_words(&mut self) -> (Vec<String>, std::process::ExitStatus) {
        let mut heard = Vec::new();
        loop {
            match self.lines.recv_timeout(HANG) {
                Ok(line) => heard.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {heard:#?}"),
            }
        }
        (heard, self.process.wait().expect("wait"))
    }

    fn kill(mut self) {
        // SIGKILL on Unix.
        self.process.kill().expect("kill");
        self.process.wait().expect("wait");
    }

    /// The end of input, as of a closed terminal.
    fn hang_up(mut self) {
        drop(self.stdin.take());
        let status = self.process.wait().expect("wait");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        // Only a test that failed leaves one running.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn count(db: &Path, sql: &str) -> i64 {
    let conn = botstore::rusqlite::Connection::open(db).expect("open");
    conn.query_row(sql, [], |row| row.get(0)).expect("a count")
}

/// Says these lines to a bot and gives all that it printed once it has ended.
fn conversation(db: &Path, more: &[&str], lines: &[u8]) -> Output {
    let mut process = command(db, more).spawn().expect("start");
    // A bot that refuses to start does not listen.
    let _ = process.stdin.take().expect("stdin").write_all(lines);
    process.wait_with_output().expect("wait")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("folder")
}

fn beside(db: &Path, suffix: &str) -> PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[test]
fn an_answer_that_was_printed_is_there_after_a_kill() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    let mut bot = Bot::start(&db);
    bot.hear("the first one here");
    bot.say("my roses are red");
    bot.hear("[message 1,");
    bot.kill();

    let mut bot = Bot::start(&db);
    bot.hear("Welcome back, ada");
    bot.hear("you said: my roses are red");
    bot.say("/history");
    bot.hear("you: my roses are red");
    bot.hear("bot: Your roses are red? Tell me more.");
    // The killed bot's log holds no number twice.
    bot.say("and white");
    bot.hear("[message 2,");
    bot.hang_up();
}

#[test]
fn a_bot_whose_input_ends_leaves_no_log_beside_the_file() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    let mut bot = Bot::start(&db);
    bot.say("hello");
    bot.hear("[message 1,");
    assert!(beside(&db, "-wal").exists(), "while it runs there is one");
    bot.hang_up();
    assert!(!beside(&db, "-wal").exists());
    assert!(!beside(&db, "-shm").exists());
}

#[cfg(unix)]
#[test]
fn a_bot_that_is_asked_to_stop_says_goodbye_and_leaves_no_log() {
    for signal in ["-TERM", "-INT"] {
        let folder = folder();
        let db = folder.path().join("bot.db");
        let mut bot = Bot::start(&db);
        bot.say("hello");
        bot.hear("[message 1,");
        bot.signal(signal);
        bot.hear("Goodbye");
        let status = bot.process.wait().expect("wait");
        assert!(status.success(), "{signal}: {status}");
        assert!(!beside(&db, "-wal").exists(), "{signal}");
    }
}

/// The numbers of the messages that the file holds.
#[cfg(unix)]
fn messages_in(db: &Path) -> BTreeSet<i64> {
    let conn = botstore::rusqlite::Connection::open(db).expect("open");
    let mut rows = conn
        .prepare("SELECT message_id FROM messages")
        .expect("table");
    let rows = rows.query_map([], |row| row.get(0)).expect("rows");
    rows.map(|id| id.expect("a number")).collect()
}

#[cfg(unix)]
#[test]
fn a_bot_that_is_asked_to_stop_in_a_flood_has_kept_every_answer_that_it_gave() {
    for signals in [&["-TERM"][..], &["-INT"], &["-TERM", "-TERM"]] {
        let folder = folder();
        let db = folder.path().join("bot.db");
        let mut bot = Bot::start(&db);
        // Until it does not listen any more.
        let mut stdin = bot.stdin.take().expect("it still listens");
        let flood = std::thread::spawn(move || {
            (0..).all(|line| writeln!(stdin, "word {line}").is_ok());
        });
        bot.hear("[message 20,");
        for signal in signals {
            bot.signal(signal);
        }
        let (heard, status) = bot.last_words();
        flood.join().expect("it ends with the bot");
        assert!(status.success(), "{signals:?}: {status}");
        assert!(heard.last().is_some_and(|line| line.contains("Goodbye")));
        let wal = beside(&db, "-wal");
        assert!(!wal.exists(), "{signals:?}");
        let kept = messages_in(&db);
        let answers = heard.iter().filter_map(|line| {
            let (number, _) = line.split_once("[message ")?.1.split_once(',')?;
            number.parse::<i64>().ok()
        });
        let mut last = 20;
        for id in answers {
            assert!(kept.contains(&id), "{id} is lost");
            last = id;
        }
        // One more may be saved whose answer came too late to be said.
        assert!(kept.len() as i64 <= last + 1, "{} > {last}", kept.len());
    }
}

/// It ends by the signal until it listens to signals, and after that in order.
#[cfg(unix)]
#[test]
fn a_bot_that_is_asked_to_stop_while_it_opens_its_file_opens_it_the_next_time() {
    use std::os::unix::process::ExitStatusExt;
    const SIGTERM: i32 = 15;
    let folder = folder();
    let db = folder.path().join("bot.db");
    for round in 0..10 {
        let mut bot = Bot::start(&db);
        std::thread::sleep(Duration::from_millis(round * 4));
        bot.signal("-TERM");
        let (heard, status) = bot.last_words();
        let ended = status.success() || status.signal() == Some(SIGTERM);
        assert!(ended, "{status}: {heard:#?}");
    }
    let mut bot = Bot::start(&db);
    bot.say("hello");
    bot.hear("[message 1,");
    bot.hang_up();
    assert!(!beside(&db, "-wal").exists());
}

#[test]
fn a_second_bot_on_the_file_is_refused_with_a_sentence_and_the_first_goes_on() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    let mut bot = Bot::start(&db);
    bot.hear("Hello, ada");

    let second = conversation(&db, &["--user", "2"], b"hello\n");
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(stdout(&second), "");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    let first = format!("is open in the store in process {}", bot.process.id());
    assert!(said.starts_with("bot: ") && said.contains(&first), "{said}");
    assert!(
        said.contains("one store writes to a file at a time"),
        "{said}"
    );

    bot.say("hello");
    bot.hear("[message 1,");
    bot.hang_up();
}

#[test]
fn piped_input_gets_answers_only_and_every_command_has_one() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    let lines = "hello\n\n   \nWhat is it?\n/history\n/sessions\n/stats\n/admin\n/help\n/dance\n\
                 /new the garden\n/sessions\n/quit\nnot heard any more\n";
    let said = stdout(&conversation(&db, &["--name", "ada"], lines.as_bytes()));
    for expected in [
        "bot> Hello, ada.",
        "Hello! What is on your mind?",
        "[message 2, $0.0006, used Search]",
        "you: hello",
        "2 messages in 1 conversation, $0.0009 in all.",
        "Search       used 1 time",
        ", allowed\n",
        "/new [project]",
        "I do not know /dance.",
        "A new conversation about the garden.",
        ", ended\n",
        "bot> Goodbye.",
    ] {
        assert!(said.contains(expected), "no {expected:?} in\n{said}");
    }
    assert!(!said.contains("you> "), "a prompt in a pipe:\n{said}");
    assert!(!said.contains("not heard"), "{said}");
}

#[test]
fn whatever_is_typed_the_bot_goes_on() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    let mut input = b"\xff\xfe\x1b[31mred\x07\n\0\n\x80\n".to_vec();
    input.extend(std::iter::repeat_n(b'x', 1_000_000));
    input.extend_from_slice("\n🦀 日本語\nthe end".as_bytes());
    let output = conversation(&db, &["--user", "-100"], &input);
    let said = stdout(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("That is 1000000 characters"), "{said}");
    assert!(said.contains("\"🦀 日本語\": please go on."), "{said}");
    assert!(said.contains("\"the end\": please go on."), "{said}");
    assert!(
        !said.contains('\u{1b}'),
        "the terminal's own codes are not passed on"
    );
}

#[test]
fn only_an_allowed_user_sees_the_admin_page_and_the_attempt_is_on_record() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    conversation(&db, &["--name", "ada"], b"hello\n");
    let said = stdout(&conversation(&db, &["--user", "2"], b"/admin\n"));
    assert!(said.contains("/admin is not for you"), "{said}");
    assert!(said.contains("here that is ada."), "{said}");
    let conn = botstore::rusqlite::Connection::open(&db).expect("open");
    let refused: (i64, bool) = conn
        .query_row(
            "SELECT user_id, success FROM audit_log WHERE event_type = 'admin_refused'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .expect("one row");
    assert_eq!(refused, (2, false));
}

#[test]
fn a_save_that_fails_is_apologised_for_and_the_bot_goes_on() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    let mut bot = Bot::start(&db);
    bot.say("hello");
    bot.hear("[message 1,");
    // Another program makes saving impossible, after the session was counted up.
    let conn = botstore::rusqlite::Connection::open(&db).expect("open");
    conn.execute_batch(
        "CREATE TRIGGER no_more BEFORE INSERT ON messages
         BEGIN SELECT raise(ABORT, 'no more messages'); END",
    )
    .expect("trigger");
    bot.say("is this lost?");
    bot.hear("Sorry, that did not work, and nothing was changed.");
    bot.hear("SaveInteraction: no more messages");
    conn.execute_batch("DROP TRIGGER no_more").expect("drop");
    drop(conn);
    // The update was released: delivered again, it is answered.
    bot.say("/again");
    bot.hear("[message 2, $");
    bot.say("/sessions");
    let row = bot.hear("this and that");
    assert!(
        row.contains("        2 "),
        "two messages are counted: {row}"
    );
    bot.hang_up();
}
