//! One mapping: guard page, locked pages, guard page.
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::MemoryKind;
use super::account::{Account, Charge};
use super::error::{Limit, MemoryError};

/// Pages that no child inherits, no core dump holds and no swap sees; wiped when dropped.
#[derive(Debug)]
pub(super) struct Region {
    pages: Pages,
    _charge: Charge,
}

// SAFETY: the region owns its mapping alone; `&Region` gives only `&[u8]`, `&mut Region` only one `&mut [u8]`.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Maps at least `len` bytes, all zero, all present.
    pub(super) fn map(kind: MemoryKind, account: &Arc<Account>, len: usize) -> Result<Self, MemoryError> {
        let page = page_size();
        let too_much = || MemoryError::Limit { wanted: len, locked: account.locked(), limit: Limit::Own };
        let len = len.max(1).checked_next_multiple_of(page).ok_or_else(too_much)?;
        let charge = account.charge(len)?;
        let pages = Pages::reserve(len, page)?;
        match kind {
            MemoryKind::Secret => pages.back_with_secret(account)?,
            MemoryKind::Mlock => pages.back_with_mlock(account)?,
        }
        pages.advise(libc::MADV_DONTDUMP)?;
        pages.advise(libc::MADV_DONTFORK)?; // stronger than WIPEONFORK, and secret memory knows only this one
        Ok(Self { pages, _charge: charge })
    }

    /// The lowest address, for a stack; valid for reads and writes of [`Region::len`] bytes.
    pub(super) const fn base(&self) -> *mut u8 {
        self.pages.base.as_ptr()
    }

    /// Bytes between the guard pages: whole pages.
    pub(super) const fn len(&self) -> usize {
        self.pages.len
    }

    pub(super) const fn bytes(&self) -> &[u8] {
        // SAFETY: a `Region` exists only once its pages are mapped readable and writable (`map`); they stay so as
        // long as it lives, hold zeros or what we wrote, and writers need `&mut self`.
        unsafe { std::slice::from_raw_parts(self.base(), self.len()) }
    }

    pub(super) const fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` makes this the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.base(), self.len()) }
    }

    /// Overwrites everything with zeros.
    pub(super) fn wipe(&mut self) {
        wipe(self.bytes_mut());
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.wipe(); // the pages go back to the kernel right after
    }
}

/// Overwrites `bytes` with zeros, in a way that the compiler cannot leave out.
pub(super) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    // SAFETY: no instruction at all; the compiler must assume that it reads the bytes, so the fill stays.
    unsafe {
        std::arch::asm!("/* {0} */", in(reg) bytes.as_ptr(), options(nostack, preserves_flags, readonly))
    };
}

/// The address range: reserved without access at first, unmapped when dropped.
#[derive(Debug)]
struct Pages {
    /// First byte after the lower guard page.
    base: NonNull<u8>,
    len: usize,
    page: usize,
}

impl Pages {
    fn reserve(len: usize, page: usize) -> Result<Self, MemoryError> {
        let whole = len.saturating_add(2 * page);
        // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing of ours.
        let lower = unsafe {
            libc::mmap(
                ptr::null_mut(),
                whole,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if lower == libc::MAP_FAILED {
            return Err(MemoryError::Map { call: "mmap", source: io::Error::last_os_error() });
        }
        // SAFETY: `whole` is `len` and two pages, so one page further is still inside the mapping.
        let base = unsafe { NonNull::new_unchecked(lower.cast::<u8>().add(page)) };
        Ok(Self { base, len, page })
    }

    fn back_with_mlock(&self, account: &Account) -> Result<(), MemoryError> {
        let base = self.base.as_ptr().cast();
        // SAFETY: `base` and `len` are the whole pages between the guards of our own mapping.
        if unsafe { libc::mprotect(base, self.len, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
            return Err(MemoryError::Map { call: "mprotect", source: io::Error::last_os_error() });
        }
        // SAFETY: as above; mlock also makes every page present.
        if unsafe { libc::mlock(base, self.len) } != 0 {
            return Err(self.refused("mlock", account));
        }
        Ok(())
    }

    fn back_with_secret(&self, account: &Account) -> Result<(), MemoryError> {
        let file = secret_file()?;
        let length = u64::try_from(self.len).unwrap_or(u64::MAX);
        rustix::fs::ftruncate(&file, length)
            .map_err(|errno| MemoryError::Map { call: "ftruncate", source: errno.into() })?;
        // SAFETY: MAP_FIXED replaces exactly the `len` bytes between the guards of our own mapping, to which no
        // reference exists yet.
        let mapped = unsafe {
            libc::mmap(
                self.base.as_ptr().cast(),
                self.len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_FIXED, // secret memory knows no private mapping
                file.as_raw_fd(),
                0,
            )
        };
        if mapped == libc::MAP_FAILED {
            return Err(self.refused("mmap", account));
        }
        for offset in (0..self.len).step_by(self.page) {
            // Pages come on first touch; a failure must show here and not in the middle of a signature.
            // SAFETY: `offset` is below `len`, inside the mapping made above.
            unsafe { self.base.as_ptr().add(offset).write_volatile(0) };
        }
        Ok(())
    }

    fn advise(&self, advice: libc::c_int) -> Result<(), MemoryError> {
        // SAFETY: the range is our own mapping, and the two kinds of advice used change no content.
        if unsafe { libc::madvise(self.base.as_ptr().cast(), self.len, advice) } != 0 {
            return Err(MemoryError::Map { call: "madvise", source: io::Error::last_os_error() });
        }
        Ok(())
    }

    /// EAGAIN, ENOMEM and EPERM are how the kernel says `RLIMIT_MEMLOCK`: our own account saw room.
    fn refused(&self, call: &'static str, account: &Account) -> MemoryError {
        let source = io::Error::last_os_error();
        match source.raw_os_error() {
            Some(libc::EAGAIN | libc::ENOMEM | libc::EPERM) => MemoryError::Limit {
                wanted: self.len,
                locked: account.locked().saturating_sub(self.len),
                limit: Limit::Rlimit(account.most()),
            },
            _ => MemoryError::Map { call, source },
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping made in `reserve`, guards included, and nothing refers to it any more.
        unsafe {
            libc::munmap(self.base.as_ptr().sub(self.page).cast(), self.len.saturating_add(2 * self.page));
        }
    }
}

fn page_size() -> usize {
    // SAFETY: a question without pointers.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

fn secret_file() -> Result<OwnedFd, MemoryError> {
    // The flag is O_CLOEXEC; FD_CLOEXEC, which the manual page names, gives EINVAL.
    // SAFETY: a system call without pointers.
    let number = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let Some(number) = libc::c_int::try_from(number).ok().filter(|number| *number >= 0) else {
        return Err(MemoryError::NoSecretMemory(io::Error::last_os_error()));
    };
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
