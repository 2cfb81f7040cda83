//! The built program, and a hand-written HTTP client for it.

use crate::example;
use crate::wait::{HANG, wait_until};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use tempfile::TempDir;

/// The program at work, and its link.
pub(crate) struct Dashboard {
    pub(crate) process: Child,
    /// `127.0.0.1:PORT`
    pub(crate) address: String,
    pub(crate) token: String,
    /// Where it puts its temporary files, which it leaves there when it is killed.
    _folder: TempDir,
}

impl Dashboard {
    pub(crate) fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let mut process = Command::new(example::program("dashboard"))
            .env("TMPDIR", folder.path())
            .args(["--port", "0"])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("start");
        let stdout = process.stdout.take().expect("stdout");
        let (sender, links) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(|line| line.ok()) {
                if let Some((_, link)) = line.split_once("http://") {
                    let _ = sender.send(link.to_owned());
                }
            }
        });
        let link = links.recv_timeout(HANG).expect("a link");
        let (address, token) = link.split_once("/?token=").expect("a token");
        Self {
            process,
            address: address.to_owned(),
            token: token.to_owned(),
            _folder: folder,
        }
    }

    pub(crate) fn on(db: &Path) -> Self {
        Self::start(&["--db", db.to_str().expect("a path")])
    }

    /// Sends a request as it is given; the answer's status, head and body.
    pub(crate) fn send(&self, request: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).expect("connect");
        stream.set_read_timeout(Some(HANG)).expect("timeout");
        let request = request.replace('\n', "\r\n");
        stream.write_all(request.as_bytes()).expect("send");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (
            status.expect("a status"),
            head.to_lowercase(),
            body.to_owned(),
        )
    }

    pub(crate) fn get(&self, path: &str, token: Option<&str>) -> (u16, String, String) {
        let host = &self.address;
        let token = token.map(|token| format!("Authorization: Bearer {token}\n"));
        let token = token.unwrap_or_default();
        self.send(&format!(
            "GET {path} HTTP/1.1\nHost: {host}\n{token}Connection: close\n\n"
        ))
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let (status, head, body) = self.get(path, Some(&self.token));
        assert_eq!(status, 200, "{path}: {body}");
        assert!(head.contains("content-type: application/json"), "{head}");
        serde_json::from_str(&body).expect("JSON")
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for a process to end; whether it ended well.
pub(crate) fn wait(process: &mut Child) -> bool {
    let mut status = None;
    wait_until("its end", || {
        status = process.try_wait().expect("wait");
        status.is_some()
    });
    status.is_some_and(|status| status.success())
}
