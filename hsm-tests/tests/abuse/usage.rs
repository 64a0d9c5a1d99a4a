//! What a process uses, as the kernel counts it.

/// At one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Resident and its own (RssAnon): files it has mapped are not memory that it took.
    kib: u64,
    /// Open descriptors.
    pub(crate) descriptors: usize,
    threads: u64,
}

impl Usage {
    /// Of this process.
    pub(crate) fn of(pid: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running daemon");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of it");
            line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
        };
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("root, to look").count();
        Self { kib: number("RssAnon:"), descriptors, threads: number("Threads:") }
    }

    /// MiB more than before.
    pub(crate) fn growth(self, before: Self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "mebibytes of one process")]
        let mib = (self.kib as f64 - before.kib as f64) / 1024.0;
        (mib * 10.0).round() / 10.0
    }
}

/// The most of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peak(Usage);

impl From<Usage> for Peak {
    fn from(first: Usage) -> Self {
        Self(first)
    }
}

impl Peak {
    /// One more look.
    pub(crate) fn note(&mut self, now: Usage) {
        self.0.kib = self.0.kib.max(now.kib);
        self.0.descriptors = self.0.descriptors.max(now.descriptors);
        self.0.threads = self.0.threads.max(now.threads);
    }

    /// MiB more than before.
    pub(crate) fn growth(self, before: Usage) -> f64 {
        self.0.growth(before)
    }

    /// Open descriptors.
    pub(crate) fn descriptors(self) -> usize {
        self.0.descriptors
    }

    /// Threads.
    pub(crate) fn threads(self) -> u64 {
        self.0.threads
    }
}
