//! A TCP gate in front of a server: an outage that loses no data.

use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::ports::Port;

/// Passes bytes between its own port and a server's. Open at first.
#[derive(Debug)]
pub struct Gate {
    port: Port,
    server: u16,
    state: Mutex<State>,
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
        let gate = Self { port: Port::free(), server, state: Mutex::default() };
        gate.open();
        gate
    }

    /// The gate's own port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
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
        std::thread::spawn(move || {
            while let Ok((client, _)) = ours.accept() {
                pass(client, server, &passing);
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
fn pass(client: TcpStream, server: u16, passing: &Mutex<Vec<TcpStream>>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { return };
    let copies = [(client.try_clone(), server.try_clone()), (server.try_clone(), client.try_clone())];
    passing.lock().unwrap().extend([client, server]);
    for (from, to) in copies {
        let (Ok(mut from), Ok(mut to)) = (from, to) else { return };
        std::thread::spawn(move || {
            std::io::copy(&mut from, &mut to).ok(); // either side may go at any moment
            to.shutdown(Shutdown::Write).ok();
        });
    }
}
