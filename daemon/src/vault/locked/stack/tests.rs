//! Stacks: where code runs, what stays behind, panics, sharing.
#![allow(unsafe_code)] // looks at the pages of a stack after the closure has gone
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use super::super::{Locked, MemoryError, MemoryKind};
use super::{Pool, STACK_LEN, Stack};

fn memory(stacks: usize) -> Arc<Locked> {
    Locked::open(Some(MemoryKind::Mlock), stacks).unwrap()
}

/// Whether every byte of the stack is zero.
fn is_clean(stack: &Stack) -> bool {
    stack.0.bytes().iter().all(|byte| *byte == 0)
}

fn one_stack(pool: &Pool) -> Stack {
    pool.idle.lock().unwrap().pop().unwrap()
}

#[test]
fn work_runs_between_the_guards_and_leaves_zeros() {
    let locked = memory(1);
    let mut stack = Stack::map(&locked).unwrap();
    let (low, high) = (stack.0.base() as usize, stack.0.base() as usize + STACK_LEN);
    let within = stack.run(|_| {
        let local = std::hint::black_box([0xa5_u8; 4096]);
        let address = local.as_ptr() as usize;
        (address > low, address + local.len() < high)
    });
    assert_eq!(within.unwrap(), (true, true));
    assert!(is_clean(&stack));
}

#[test]
fn stack_would_be_dirty_without_the_wipe() {
    let locked = memory(1);
    let stack = Stack::map(&locked).unwrap();
    // SAFETY: as in `Stack::run`; the closure does not unwind.
    unsafe { psm::on_stack(stack.0.base(), stack.0.len(), || _ = std::hint::black_box([0xa5_u8; 4096])) };
    assert!(!is_clean(&stack), "so that the test above means something");
}

#[test]
fn panic_is_contained_and_wiped_and_the_stack_serves_again() {
    let locked = memory(1);
    for kind in ["first", "second"] {
        let refused = locked.inside(|_| assert!(kind.is_empty(), "on purpose")).unwrap_err();
        assert!(matches!(refused, MemoryError::Panicked));
    }
    assert!(is_clean(&one_stack(&locked.stacks)));
}

#[test]
fn secret_memory_serves_as_a_stack_too() {
    let locked = Locked::open(Some(MemoryKind::Secret), 1).unwrap();
    assert!(locked.inside(|_| std::hint::black_box([1_u8; 8192]).len() == 8192).unwrap());
    assert!(matches!(locked.inside(|_| panic!("on purpose")), Err::<(), _>(MemoryError::Panicked)));
}

#[test]
fn every_stack_works_at_once_and_others_wait() {
    let locked = memory(2);
    let (meet, most, now) = (Barrier::new(2), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                locked.inside(|_| {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    meet.wait(); // two at a time are needed, or nobody gets on
                    now.fetch_sub(1, Ordering::SeqCst);
                })
            });
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), 2, "as many at once as there are stacks, and no more");
}

#[test]
fn aside_takes_a_stack_of_its_own() {
    let locked = memory(1);
    let before = locked.locked_bytes();
    let (during, inner) = (AtomicUsize::new(0), &locked);
    locked
        .inside(|_| inner.aside(|_| during.store(inner.locked_bytes(), Ordering::SeqCst)))
        .unwrap()
        .unwrap();
    assert_eq!(during.into_inner() - before, STACK_LEN, "although the only pooled stack is lent");
    assert_eq!(locked.locked_bytes(), before);
}

/// xmm15 is used by nothing between the closure's end and the caller, so what is in it is what `run` left.
#[cfg(target_arch = "x86_64")]
#[test]
fn registers_are_wiped_on_the_way_out() {
    use std::arch::asm;
    let locked = memory(1);
    let (pattern, mut found) = ([0x5a_u8; 16], [0xff_u8; 16]);
    locked
        .inside(|_| {
            // SAFETY: reads 16 bytes of `pattern`; xmm15 is declared.
            unsafe {
                asm!("movdqu xmm15, [{0}]", in(reg) pattern.as_ptr(), out("xmm15") _, options(nostack))
            };
        })
        .unwrap();
    // SAFETY: writes 16 bytes of `found`.
    unsafe { asm!("movdqu [{0}], xmm15", in(reg) found.as_mut_ptr(), options(nostack)) };
    assert_eq!(found, [0; 16]);
}

/// How many bytes of a stack `work` writes to.
fn depth<R>(work: impl FnOnce(&super::Inside<'_>) -> R) -> usize {
    let locked = memory(1);
    let mut stack = Stack::map(&locked).unwrap();
    stack.0.bytes_mut().fill(0x5a);
    let inside = super::Inside { not_send: std::marker::PhantomData };
    // SAFETY: as in `Stack::run`; the steps measured here do not unwind.
    unsafe { psm::on_stack(stack.0.base(), stack.0.len(), || work(&inside)) };
    STACK_LEN - stack.0.bytes().iter().take_while(|byte| **byte == 0x5a).count()
}

/// How deep our steps go, in this build: a stack that one might outgrow would end the daemon.
#[test]
fn every_step_leaves_a_quarter_of_the_stack() {
    use crate::vault::scalar::{agree, generate, point, sign};
    let own = memory(1).inside(|inside| point(&[7; 32], inside)).unwrap().unwrap();
    let depths = [
        ("sign", depth(|inside| sign(&[7; 32], &own, b"m", inside).unwrap())),
        ("generate", depth(|inside| generate(&mut [0; 32], inside).unwrap())),
        ("agree", depth(|inside| agree(&[9; 32], &own, &mut [0; 32], inside).unwrap())),
    ];
    assert!(depths.iter().all(|(_, depth)| (1..=STACK_LEN / 4 * 3).contains(depth)), "{depths:?}");
}
