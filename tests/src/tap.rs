//! A line that is listened in on: what a client and a cluster say to each other, byte by byte.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Passes connections on to a host and keeps what goes over them, both ways.
#[derive(Clone, Debug)]
pub struct Tap {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    /// Listens on a port of loopback, before the host at `url` (`http://127.0.0.1:1234`). Its threads end with the
    /// connections, and the last one with the process.
    pub fn before(url: &str) -> Self {
        let target: SocketAddr = url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tap = Tap { address: listener.local_addr().unwrap(), heard: Arc::default() };
        let heard = Arc::clone(&tap.heard);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(target) else { continue };
                pass(&client, &server, &heard);
                pass(&server, &client, &heard);
            }
        });
        tap
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was said so far, one text per direction of a connection.
    pub fn heard(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}

/// Copies from one end to the other until it closes.
fn pass(from: &TcpStream, to: &TcpStream, heard: &Arc<Mutex<Vec<Vec<u8>>>>) {
    let (mut from, mut to, heard) = (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(heard));
    let line = {
        let mut lines = heard.lock().unwrap();
        lines.push(Vec::new());
        lines.len() - 1
    };
    std::thread::spawn(move || {
        let mut part = [0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut part) {
            heard.lock().unwrap()[line].extend_from_slice(&part[..read]);
            if to.write_all(&part[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both); // it may be gone already
    });
}
