//! Clients of a gRPC server, each asking for one thing after the other over a connection that it keeps.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

/// One client.
pub(crate) trait Client: Send + 'static {
    /// Asks once, and sees that the answer is what was asked for. How many signatures that were.
    fn ask(&mut self) -> impl Future<Output = u32> + Send;
}

/// Several clients at once, on one thread: the other core is the server's. The thread goes on between two turns, to
/// answer what keeps connections alive.
pub(crate) struct Load<C> {
    runtime: Runtime,
    clients: Vec<C>,
}

impl<C: Client> Load<C> {
    /// Clients that `connect` makes, warmed up: each has asked once.
    pub(crate) fn new<F: Future<Output = Vec<C>>>(connect: impl FnOnce() -> F) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let clients = runtime.block_on(connect());
        let mut load = Self { runtime, clients };
        load.rate(Duration::ZERO);
        load
    }

    /// Signatures in a second: each client asks until the time is over, and gets its last answer.
    pub(crate) fn rate(&mut self, span: Duration) -> f64 {
        let start = Instant::now();
        let tasks = self.clients.drain(..).map(|client| self.runtime.spawn(asking(client, start + span)));
        let tasks: Vec<_> = tasks.collect();
        let mut signatures = 0;
        for task in tasks {
            let (client, signed) = self.runtime.block_on(task).unwrap();
            self.clients.push(client);
            signatures += signed;
        }
        f64::from(signatures) / start.elapsed().as_secs_f64()
    }

    /// Milliseconds of so many signatures of the first client, one after the other.
    pub(crate) fn times(&mut self, signatures: usize) -> Vec<f64> {
        let client = &mut self.clients[0];
        self.runtime.block_on(async {
            let mut times = Vec::with_capacity(signatures);
            for _ in 0..signatures {
                let start = Instant::now();
                client.ask().await;
                times.push(start.elapsed().as_secs_f64() * 1000.0);
            }
            times
        })
    }
}

async fn asking<C: Client>(mut client: C, until: Instant) -> (C, u32) {
    let mut signatures = client.ask().await;
    while Instant::now() < until {
        signatures += client.ask().await;
    }
    (client, signatures)
}
