//! A password at a terminal: asked for twice, never shown, and the terminal as it was afterwards.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use nix::pty::{OpenptyResult, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};
use serde_json::json;

use super::operator::Operator;
use crate::support::server::command;
use crate::support::{LIMIT, wait_for};

/// Types lines, each when its prompt is there; returns the exit code and what the terminal showed.
fn type_at(operator: &Operator, lines: &[(&str, &str)]) -> (i32, String) {
    let OpenptyResult { master, slave } = openpty(None, None).expect("a terminal");
    let side = || Stdio::from(slave.try_clone().expect("a descriptor"));
    let mut child = command()
        .args(["admin", "user", "set", "1001", "--password"])
        .env("RINGBOOK_URL", operator.production.server.url())
        .env("RINGBOOK_CREDENTIAL_FILE", &operator.production.credential)
        .stdin(side())
        .stdout(side())
        .stderr(side())
        .spawn()
        .expect("the binary starts");
    let shown = Arc::new(Mutex::new(String::new()));
    let mut screen = File::from(master.try_clone().expect("a descriptor"));
    let seen = shown.clone();
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 1_024];
        // Ends with an error when nobody has the other side any more.
        while let Ok(count @ 1..) = screen.read(&mut buffer) {
            seen.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    });
    let mut keys = File::from(master);
    for (prompt, line) in lines {
        wait_for(prompt, LIMIT, || shown.lock().unwrap().contains(prompt).then_some(()));
        keys.write_all(line.as_bytes()).expect("typed");
    }
    let status = child.wait().expect("it ends");
    let flags = tcgetattr(&slave).expect("a terminal").local_flags;
    assert!(flags.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG));
    drop(slave);
    reader.join().expect("read");
    let text = shown.lock().unwrap().clone();
    (status.code().expect("an exit code"), text)
}

#[test]
fn a_password_is_typed_twice_and_never_shown() {
    let operator = Operator::with_market();
    let status = || {
        let body = json!({"user_id": 1001, "password": "correct horse"}).to_string();
        operator.production.call("", "POST", "/api/auth/login", &body).status
    };
    let (new, again) = ("new password: ", "the same again: ");
    let (code, shown) = type_at(&operator, &[(new, "correct horse\r"), (again, "correct house\r")]);
    assert!(code == 2 && shown.contains("not the same"), "{code} {shown}");
    let (code, shown) = type_at(&operator, &[(new, "correct\x03")]);
    assert!(code == 2 && shown.contains("nothing was changed"), "{code} {shown}");
    assert_eq!(status(), 401);
    let typed = [(new, "correct horsf\x7fe\r"), (again, "correct horse\r")];
    let (code, shown) = type_at(&operator, &typed);
    assert!(code == 0 && !shown.contains("correct"), "{code} {shown}");
    assert_eq!(status(), 200);
}
