//! Locked stacks: borrowed for one closure, wiped before they are lent again.
use std::any::Any;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::account::Account;
use super::error::MemoryError;
use super::public::Public;
use super::region::Region;
use super::{Locked, MemoryKind, registers};

/// Bytes of one stack. A signature goes 31 KiB deep, a panic's backtrace another 22.
pub(super) const STACK_LEN: usize = 64 * 1024;

/// Says that the code holding it runs on a locked stack; keys can be read with nothing else.
///
/// It cannot be made, kept or sent: it lives for one closure of [`Locked::inside`] on one thread.
#[derive(Debug)]
pub struct Inside<'a> {
    not_send: PhantomData<*const &'a ()>,
}

/// One stack and its guard pages.
pub(super) struct Stack(Region);

impl Stack {
    pub(super) fn map(locked: &Locked) -> Result<Self, MemoryError> {
        locked.region(STACK_LEN).map(Self)
    }

    /// Runs `work` here, wipes, and answers.
    pub(super) fn run<R: Public>(&mut self, work: impl FnOnce(&Inside<'_>) -> R) -> Result<R, MemoryError> {
        let on_stack = || {
            let result = catch_unwind(AssertUnwindSafe(|| work(&Inside { not_send: PhantomData })));
            let result = result.map_err(|payload: Box<dyn Any + Send>| drop(payload));
            registers::wipe();
            result
        };
        // SAFETY: `base` and `len` are page aligned, writable, guarded on both sides and used by nobody else
        // (`&mut self`); `on_stack` catches every unwinding, and `self` outlives the call. Wiping afterwards may
        // overwrite everything: only `on_stack`'s own frames were there, and its result was moved out to us.
        let result = unsafe { psm::on_stack(self.0.base(), self.0.len(), on_stack) };
        self.0.wipe();
        result.map_err(|()| MemoryError::Panicked)
    }
}

/// The stacks that wait for work.
pub(super) struct Pool {
    idle: Mutex<Vec<Stack>>,
    returned: Condvar,
}

impl Pool {
    pub(super) fn map(
        kind: MemoryKind,
        account: &Arc<Account>,
        count: NonZeroUsize,
    ) -> Result<Self, MemoryError> {
        let stacks: Result<Vec<_>, _> =
            (0..count.get()).map(|_| Region::map(kind, account, STACK_LEN).map(Stack)).collect();
        Ok(Self { idle: Mutex::new(stacks?), returned: Condvar::new() })
    }

    /// Lends a stack; waits while there is none.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut Stack) -> R) -> R {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stack = loop {
            match idle.pop() {
                Some(stack) => break stack,
                None => idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(idle);
        let result = work(&mut stack); // does not unwind: `Stack::run` catches
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(stack);
        self.returned.notify_one();
        result
    }
}

#[cfg(test)]
mod tests;
