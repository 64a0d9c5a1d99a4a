//! A TCP gate in front of a server: an outage that loses no data.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::ports::Port;

/// Passes bytes between its own port and a server's. Open at first.
#[derive(Debug)]
pub struct Gate {
    port: Port,
    server: u16,
    state: Mutex<State>,
    asked: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct State {
    listener: Option<TcpListener>,
    passing: Arc<Mutex<Vec<TcpStream>>>,
}

impl Gate {
    /// A gate in front of 127.0.0.1 at port `server`.
    #[must_use]
    pub fn before(server: u16) -> Self {
        let gate = Self { port: Port::free(), server, state: Mutex::default(), asked: Arc::default() };
        gate.open();
        gate
    }

    /// The gate's own port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Bytes that clients have sent so far: more of them means that one has asked for something.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// From now on connections are refused; those that pass are cut.
    pub fn close(&self) {
        let mut state = self.state.lock().unwrap();
        if let Some(listener) = state.listener.take() {
            rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).expect("a listener that ends");
        }
        for stream in state.passing.lock().unwrap().drain(..) {
            stream.shutdown(Shutdown::Both).ok(); // it may have ended by itself
        }
    }

    /// From now on connections pass again, to the same server.
    pub fn open(&self) {
        let mut state = self.state.lock().unwrap();
        if state.listener.is_some() {
            return;
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port())).expect("the gate's own port");
        let (ours, passing, server) =
            (listener.try_clone().unwrap(), Arc::clone(&state.passing), self.server);
        let asked = Arc::clone(&self.asked);
        std::thread::spawn(move || {
            while let Ok((client, _)) = ours.accept() {
                pass(client, server, &passing, &asked);
            }
        });
        state.listener = Some(listener);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.close();
    }
}

/// Two threads for one connection: each copies one direction and hands on its end.
fn pass(client: TcpStream, server: u16, passing: &Mutex<Vec<TcpStream>>, asked: &Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { return };
    let copies = [
        (client.try_clone(), server.try_clone(), Arc::clone(asked)),
        (server.try_clone(), client.try_clone(), Arc::default()),
    ];
    passing.lock().unwrap().extend([client, server]);
    for (from, to, count) in copies {
        let (Ok(from), Ok(to)) = (from, to) else { return };
        std::thread::spawn(move || copy(from, to, &count));
    }
}

/// Until either side goes, which may be at any moment.
fn copy(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    let mut piece = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        count.fetch_add(length as u64, Ordering::Relaxed);
        if to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Write).ok();
}
