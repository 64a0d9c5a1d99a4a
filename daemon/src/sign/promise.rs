//! An intent that is written and has no outcome yet, for what is signed beside documents. Dropped, also with a request
//! that is given up, it has one.
use crate::audit::Event;
use crate::store::{Store, StoreError, Tx};

/// Owes the audit an outcome.
pub(super) struct Promise<F: Fn(String) -> Event> {
    store: Store,
    /// The row for an outcome that is none, by why.
    failed: F,
    /// What there is none of then, in words.
    what: &'static str,
    open: bool,
}

impl<F: Fn(String) -> Event> Promise<F> {
    /// The intent is on the disk.
    pub(super) fn new(store: &Store, what: &'static str, failed: F) -> Self {
        Self { store: store.clone(), failed, what, open: true }
    }

    /// It is there: `outcome` is written before anybody gets it.
    pub(super) async fn kept<T, E>(
        mut self,
        outcome: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.open = false;
        self.store.write(outcome).await
    }

    /// There will be none.
    pub(super) fn broken(mut self, why: &str) {
        self.open = false;
        self.record(why);
    }

    fn record(&self, why: &str) {
        let event = (self.failed)(why.to_owned());
        self.store.write_behind::<StoreError, _>(self.what, move |tx| tx.append(&event).map(drop));
    }
}

impl<F: Fn(String) -> Event> Drop for Promise<F> {
    fn drop(&mut self) {
        if self.open {
            self.record("the request was given up");
        }
    }
}
