//! Budget and kinds of locked memory, seen through the kernel's own account of this process.
use std::sync::Arc;

use super::account::{Account, CAP};
use super::region::Region;
use super::{Limit, Locked, MemoryError, MemoryKind, SecretBuf};

/// Both kinds; a kernel without secret memory fails these tests instead of passing over half of them.
const KINDS: [MemoryKind; 2] = [MemoryKind::Secret, MemoryKind::Mlock];

/// `VmFlags` of the mapping that holds `address`, and of the pages right below and above it their permissions.
fn mapping(address: usize) -> (String, String, [String; 2]) {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut spans, mut current) = (Vec::new(), None::<(usize, usize, String)>);
    for line in smaps.lines() {
        let first = line.split(' ').next().unwrap();
        if let Some((low, high)) = first.split_once('-') {
            let parse = |text| usize::from_str_radix(text, 16).unwrap();
            current = Some((parse(low), parse(high), line.split(' ').nth(1).unwrap().to_owned()));
        } else if let Some(flags) = line.strip_prefix("VmFlags: ") {
            spans.push((current.take().unwrap(), flags.to_owned()));
        }
    }
    let at = |wanted: usize| spans.iter().find(|((low, high, _), _)| (*low..*high).contains(&wanted));
    let ((low, high, permissions), flags) = at(address).unwrap();
    let around = [*low - 1, *high].map(|edge| at(edge).map_or("gone".to_owned(), |((_, _, p), _)| p.clone()));
    (permissions.clone(), flags.clone(), around)
}

#[test]
fn regions_are_locked_undumped_unforked_and_guarded() {
    for kind in KINDS {
        let region = Region::map(kind, &Arc::new(Account::with_rlimit(None)), 5000).unwrap();
        assert_eq!(region.len(), 8192, "whole pages");
        let (permissions, flags, around) = mapping(region.base() as usize);
        assert!(permissions.starts_with("rw-"), "{kind}: {permissions}");
        for flag in ["lo", "dd", "dc"] {
            assert!(flags.split(' ').any(|found| found == flag), "{kind}: {flag} missing in {flags}");
        }
        assert!(around.iter().all(|edge| edge.starts_with("---")), "{kind}: guards are {around:?}");
    }
}

#[test]
fn only_secret_memory_is_unreadable_from_outside() {
    use std::os::unix::fs::FileExt as _;
    for (kind, readable) in [(MemoryKind::Secret, false), (MemoryKind::Mlock, true)] {
        let locked = Locked::open(Some(kind), 1).unwrap();
        let mut buffer = SecretBuf::new(&locked, 16).unwrap();
        buffer.extend_from_slice(b"0123456789abcdef").unwrap();
        let address = buffer.expose().as_ptr() as u64;
        let mut read = [0; 16];
        let result = std::fs::File::open("/proc/self/mem").unwrap().read_exact_at(&mut read, address);
        assert_eq!(result.is_ok(), readable, "{kind}");
    }
}

#[test]
fn budget_is_eight_mebibytes_even_for_root() {
    let account = Arc::new(Account::with_rlimit(None));
    let charge = account.charge(CAP - 4096).unwrap();
    let refused = Region::map(MemoryKind::Mlock, &account, 8192).unwrap_err();
    assert!(
        matches!(refused, MemoryError::Limit { wanted: 8192, locked: 8_384_512, limit: Limit::Own }),
        "{refused}"
    );
    drop(charge);
    let region = Region::map(MemoryKind::Mlock, &account, 8192).unwrap();
    assert_eq!(account.locked(), 8192);
    drop(region);
    assert_eq!(account.locked(), 0, "a dropped region gives its bytes back");
}

#[test]
fn smaller_rlimit_is_named_with_its_remedy() {
    let account = Arc::new(Account::with_rlimit(Some(65_536)));
    let refused = Region::map(MemoryKind::Mlock, &account, 65_537).unwrap_err();
    assert!(matches!(refused, MemoryError::Limit { limit: Limit::Rlimit(65_536), .. }), "{refused}");
    let text = refused.to_string();
    for part in ["RLIMIT_MEMLOCK is 65536 bytes", "LimitMEMLOCK=8388608", "ulimit -l 8192"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn refused_mapping_leaves_the_budget_as_it_was() {
    let account = Arc::new(Account::with_rlimit(Some(4096)));
    Region::map(MemoryKind::Secret, &account, 8192).unwrap_err();
    assert_eq!(account.locked(), 0);
}

#[test]
fn stacks_are_counted_and_at_most_eight_are_kept() {
    let few = Locked::open(Some(MemoryKind::Mlock), 2).unwrap();
    assert_eq!(few.locked_bytes(), 2 * 64 * 1024);
    let many = Locked::open(Some(MemoryKind::Mlock), 64).unwrap();
    assert_eq!(many.locked_bytes(), 8 * 64 * 1024);
    let one = Locked::open(Some(MemoryKind::Mlock), 0).unwrap();
    assert_eq!(one.locked_bytes(), 64 * 1024, "none would never sign");
}

#[test]
fn dropped_regions_are_unmapped_and_wiped() {
    // The address can be mapped again by another thread, so only that ours is gone is asked: with its guards it is
    // a mapping of its own, and a new one would have other flags or another size.
    let locked = Locked::open(Some(MemoryKind::Mlock), 1).unwrap();
    let before = locked.locked_bytes();
    let buffer = SecretBuf::new(&locked, 4096).unwrap();
    assert_eq!(locked.locked_bytes(), before + 4096);
    drop(buffer);
    assert_eq!(locked.locked_bytes(), before);
}

#[test]
fn kinds_are_spelt_as_on_the_command_line() {
    assert_eq!("secret".parse(), Ok(MemoryKind::Secret));
    assert_eq!("mlock".parse(), Ok(MemoryKind::Mlock));
    assert_eq!("Secret".parse::<MemoryKind>(), Err(super::UnknownKind));
}
