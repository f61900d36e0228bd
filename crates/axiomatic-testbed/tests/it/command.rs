//! The proxy as a command.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use tokio::net::{TcpListener, TcpStream};

use crate::support::{End, Ended};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fault-proxy"));
    command.args(arguments).stdout(Stdio::piped());
    command
}

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_command_forwards_breaks_and_counts_until_it_is_interrupted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener
        .local_addr()
        .expect("it is bound")
        .port()
        .to_string();
    let arguments = ["--to", &port, "--way", "to-server", "--cut-after", "3"];
    let mut proxy = Running(command(&arguments).spawn().expect("it runs"));
    let mut output = BufReader::new(proxy.0.stdout.take().expect("it was piped"));
    let mut said = String::new();
    output.read_line(&mut said).expect("it says where");
    let address = said.split(' ').next().expect("an address").to_owned();
    output.read_line(&mut said).expect("it says what it does");
    assert!(said.ends_with("cut after 3 bytes to the server (close)\n"));
    let client = TcpStream::connect(&*address).await.expect("it listens");
    let (mut client, server) = (End(client), listener.accept().await);
    let mut server = End(server.expect("it connects").0);
    client.say(b"12345").await;
    assert_eq!(server.hears_all().await.0, b"123");
    let (heard, _): (_, Ended) = client.hears_all().await;
    assert_eq!(heard, b"");
    axiomatic_testbed::signal(&proxy.0, "-INT");
    assert!(proxy.0.wait().expect("it ends").success());
    said.clear();
    output.read_to_string(&mut said).expect("text");
    let counts = "1 connections, 0 refused, 1 cut, 0 half-open; 3 bytes to the server";
    assert!(said.starts_with(counts), "{said}");
}

#[test]
fn the_command_says_what_it_can_and_refuses_to_leave_this_machine() {
    let help = command(&["--help"]).output().expect("it runs");
    let help = String::from_utf8(help.stdout).expect("text");
    for fault in ["--latency", "--cut-after", "--half-open", "--refuse"] {
        assert!(help.contains(fault), "{help}");
    }
    let elsewhere = command(&["--to", "80", "--host", "192.0.2.1"]).output();
    let elsewhere = elsewhere.expect("it runs");
    assert!(!elsewhere.status.success());
    let says = String::from_utf8(elsewhere.stderr).expect("text");
    assert!(says.contains("is not on loopback"), "{says}");
}
