//! A reader, and a card in it: a thread that carries bytes between `vpcd` and the card.

use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_tcp_quickack;
use vpicc::{Connection, VSmartCard};

use crate::piv::{Controls, PivCard};
use crate::process::READY;

/// What a YubiKey 5 says on power-on: T=1, and its name.
const ATR: &[u8] = b"\x3b\xfd\x13\x00\x00\x81\x31\xfe\x15\x80\x73\xc0\x21\xc0\x57YubiKey\x40";
/// Between two looks for what a pcscd does, or whether it runs.
const AGAIN: Duration = Duration::from_millis(20);

/// One reader. pcscd looks for a card, or for its absence, every 0.4 seconds: who changes something here waits for that.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    name: String,
    log: PathBuf,
}

#[derive(Debug, Default)]
struct Shared {
    card: Mutex<Option<PivCard>>,
    line: Mutex<Line>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    state: Plug,
    service: Service,
    /// While pcscd knows of a card here: how often it had missed one before.
    known: Option<usize>,
    stream: Option<TcpStream>,
    controls: Option<Controls>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Plug {
    #[default]
    Out,
    In,
    /// The reader goes.
    End,
}

/// Whether there is a pcscd to plug into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Service {
    #[default]
    Runs,
    Dead,
}

impl Reader {
    /// For the `vpcd` that listens, or will listen, at this port of 127.0.0.1; the reader's name and pcscd's log.
    pub(super) fn at(port: u16, name: String, log: PathBuf) -> Self {
        let shared = Arc::new(Shared::default());
        let its = Arc::clone(&shared);
        Self { shared, thread: Some(std::thread::spawn(move || its.run(port))), name, log }
    }

    /// Its name, as programs see it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts a card in and waits until pcscd, if it runs, has found it.
    ///
    /// # Panics
    /// When there is one in it already.
    pub fn insert(&self, card: PivCard) {
        let controls = card.controls();
        let before = self.shared.card().replace(card);
        assert!(before.is_none(), "there is a card in this reader");
        self.shared.line().controls = Some(controls);
        self.put_back();
    }

    /// Pulls the card out, whatever it is doing, and waits until pcscd misses it. It keeps what it has, and can be put
    /// back.
    ///
    /// # Panics
    /// When there is none.
    pub fn pull_out(&self) {
        let mut line = self.shared.line();
        line.pull_out(); // first, so that nobody hears what it says next
        line.controls.as_ref().expect("a card in this reader").interrupt();
        drop(line);
        self.wait_until_missed();
    }

    /// Puts the card back, after [`Reader::pull_out`] or [`Controls::pull_after`], and waits until pcscd, if it runs, has
    /// found it.
    pub fn put_back(&self) {
        self.wait_until_missed();
        self.plug(|line| line.state = Plug::In);
    }

    /// Puts another card in its place; the card that was there.
    pub fn exchange(&self, card: PivCard) -> PivCard {
        self.pull_out();
        let before = self.shared.card().take().expect("a card in this reader");
        self.insert(card);
        before
    }

    /// The card has no power for a moment, as when the machine is suspended: it forgets who was logged in and which
    /// application was selected, and pcscd is told nothing.
    pub fn lose_power(&self) {
        self.shared.reset();
    }

    /// A hand on the card.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn controls(&self) -> Controls {
        self.shared.line().controls.clone().expect("a card in this reader")
    }

    /// Looks at the card, between two commands.
    ///
    /// # Panics
    /// When there is none.
    pub fn look<T>(&self, at: impl FnOnce(&mut PivCard) -> T) -> T {
        at(self.shared.card().as_mut().expect("a card in this reader"))
    }

    /// pcscd is dead: nobody waits for what the card does.
    pub(super) fn service_dies(&self) {
        let mut line = self.shared.line();
        (line.service, line.known) = (Service::Dead, None);
        if let Some(controls) = &line.controls {
            controls.interrupt();
        }
    }

    /// A new pcscd, with a new log, listens: waits until it has found the card, if there is one.
    pub(super) fn service_lives(&self) {
        self.plug(|line| line.service = Service::Runs);
    }

    /// Lets the thread connect, if there is a card and a pcscd now, and waits until that has found it.
    fn plug(&self, change: impl FnOnce(&mut Line)) {
        let found = self.said("Card ATR:"); // once for each card, whichever its reader
        let mut line = self.shared.line();
        change(&mut line);
        let is_wanted = line.is_wanted();
        drop(line);
        self.shared.changed.notify_all();
        if is_wanted {
            self.wait("found the card", || self.said("Card ATR:") > found);
            self.shared.line().known = Some(self.missed());
        }
    }

    /// Without it, a card that is out for a moment would be there all the time, and never get power.
    fn wait_until_missed(&self) {
        let known = self.shared.line().known.take();
        if let Some(before) = known {
            self.wait("missed the card", || self.missed() > before);
        }
    }

    fn missed(&self) -> usize {
        self.said(&format!("Card Removed From {}", self.name))
    }

    fn said(&self, what: &str) -> usize {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).matches(what).count()
    }

    fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + READY;
        while !done() {
            let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
            assert!(Instant::now() < deadline, "pcscd never {what} in {}:\n{}", self.name, log());
            std::thread::sleep(AGAIN);
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut line = self.shared.line();
        line.pull_out();
        line.state = Plug::End;
        if let Some(controls) = &line.controls {
            controls.interrupt();
        }
        drop(line);
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Line {
    /// Whether the thread has something to do.
    fn is_wanted(&self) -> bool {
        match self.state {
            Plug::Out => false,
            Plug::In => self.service == Service::Runs,
            Plug::End => true,
        }
    }

    fn pull_out(&mut self) {
        self.state = Plug::Out;
        if let Some(stream) = &self.stream {
            stream.shutdown(Shutdown::Both).ok(); // it may have ended by itself
        }
    }
}

impl Shared {
    fn run(&self, port: u16) {
        loop {
            let line = self.changed.wait_while(self.line(), |line| !line.is_wanted());
            let line = line.expect("nobody panicked");
            if line.state == Plug::End {
                return;
            }
            match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                Ok(stream) => self.serve(stream, line),
                Err(_) => drop(self.changed.wait_timeout(line, AGAIN)),
            }
        }
    }

    /// Until either side goes.
    fn serve(&self, stream: TcpStream, mut line: MutexGuard<'_, Line>) {
        let ours = stream.try_clone().expect("a second handle of a connection");
        line.stream = Some(stream.try_clone().expect("a third handle"));
        drop(line);
        let (mut connection, mut wire) = (Connection::from(stream), Wire(self));
        // vpcd writes a message in two pieces and, without this, waits 40 ms for the first to be acknowledged.
        while set_tcp_quickack(&ours, true).is_ok() && connection.poll(&mut wire).is_ok() {}
        self.reset();
        self.line().stream = None;
    }

    fn reset(&self) {
        if let Some(card) = self.card().as_mut() {
            card.reset();
        }
    }

    fn card(&self) -> MutexGuard<'_, Option<PivCard>> {
        self.card.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The card's contacts.
struct Wire<'a>(&'a Shared);

impl VSmartCard for Wire<'_> {
    fn atr(&self) -> &[u8] {
        ATR
    }

    fn power_on(&mut self) {
        self.0.reset();
    }

    fn power_off(&mut self) {
        self.0.reset(); // pcscd saves power while nobody uses the card: it is still there
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn execute(&mut self, command: &[u8]) -> Vec<u8> {
        let mut card = self.0.card();
        let Some(card) = card.as_mut() else { return Vec::new() };
        if card.controls().is_due() {
            self.0.line().pull_out();
            return Vec::new(); // to nobody
        }
        let answer = card.apdu(command);
        if card.controls().was_last(command) {
            self.0.line().pull_out();
            return Vec::new();
        }
        answer
    }
}
