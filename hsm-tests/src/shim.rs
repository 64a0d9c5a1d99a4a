//! A PKCS#11 module between a program and a real one, which obeys orders to fail (`shim.c`), and keeps count of calls.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::{Cli, tool};
use crate::place::Place;

/// The shim, compiled, with its orders and its log.
#[derive(Debug)]
pub struct Shim {
    place: Place,
    real: PathBuf,
}

impl Shim {
    /// In front of this module; nothing ordered.
    #[must_use]
    pub fn before(real: PathBuf) -> Self {
        let place = Place::new();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/shim.c");
        let compiler = Cli::new(tool("cc")).args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]);
        compiler.arg(place.join("libshim.so")).arg(source).arg("-ldl").ok();
        let shim = Self { place, real };
        shim.forget();
        shim
    }

    /// The module to use instead of the real one.
    #[must_use]
    pub fn module(&self) -> PathBuf {
        self.place.join("libshim.so")
    }

    /// What it reads from the environment, beside what the real one does.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        let of = |name: &str, path: &Path| (name.to_owned(), path.display().to_string());
        let (orders, log) = (self.place.join("orders"), self.place.join("log"));
        [of("SHIM_MODULE", &self.real), of("SHIM_ORDERS", &orders), of("SHIM_LOG", &log)].into()
    }

    /// Replaces the orders: lines of `C_Function when what [number]`, as `shim.c` has them.
    pub fn order(&self, orders: &str) {
        let name = self.place.join("orders");
        let file = File::options().create(true).truncate(false).write(true).open(name);
        let mut file = file.expect("the shim's orders");
        file.lock().expect("the lock of the shim's orders");
        file.set_len(0).and_then(|()| file.write_all(orders.as_bytes())).expect("new orders");
    }

    /// Forgets the calls so far.
    pub fn forget(&self) {
        File::create(self.place.join("log")).expect("the shim's log");
    }

    /// How often a function was called since [`Shim::forget`].
    #[must_use]
    pub fn count(&self, call: &str) -> usize {
        self.log().lines().filter(|line| *line == call).count()
    }

    /// Which functions were called since [`Shim::forget`].
    #[must_use]
    pub fn called(&self) -> BTreeSet<String> {
        self.log().lines().map(ToOwned::to_owned).collect()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.place.join("log")).expect("the shim's log")
    }
}
