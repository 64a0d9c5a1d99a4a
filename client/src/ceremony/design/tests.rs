use touchmark_proto::reason::Reason;
use touchmark_tuf::{Difference, EcdsaSignature, Version, diff, to_be_signed};

use super::*;
use crate::error::Error;

fn gun() -> Gun {
    "registry.example.com/team/app".parse().unwrap()
}

fn now() -> Instant {
    Instant::from_unix(1_800_000_000)
}

fn point(seed: u8) -> [u8; 65] {
    let mut point = [seed; 65];
    point[0] = 4;
    point
}

fn plain(seed: u8) -> PublicKey {
    PublicKey::from_p256_point(&point(seed))
}

/// Root key number `seed` in its certificate number `serial` for a repository. Nobody looks at its signature.
fn certificate_for(seed: u8, serial: u8, gun: &Gun) -> PublicKey {
    let life = ROOT_LIFE;
    let unsigned = to_be_signed(gun, &point(seed), [serial; 16], now(), now().plus(life)).unwrap();
    unsigned.finish(&EcdsaSignature::from_raw([1; 64])).unwrap().public_key()
}

fn certificate(seed: u8) -> PublicKey {
    certificate_for(seed, 1, &gun())
}

fn id(seed: u8) -> KeyId {
    plain(seed).canonical_id()
}

fn threshold(number: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(number)
}

fn first_wishes(roots: &[u8]) -> Wishes {
    Wishes {
        add: roots.iter().map(|seed| certificate(*seed)).collect(),
        targets: Some(plain(20)),
        snapshot: Some(plain(21)),
        timestamp: Some(plain(22)),
        ..Wishes::default()
    }
}

fn root(roots: &[u8], needed: u32) -> Root {
    let wishes = Wishes { threshold: threshold(needed), ..first_wishes(roots) };
    design(&gun(), None, &wishes, now()).unwrap()
}

fn designed(base: &Root, wishes: &Wishes) -> Result<Root, DesignError> {
    design(&gun(), Some(base), wishes, now())
}

fn keys(root: &Root) -> Vec<KeyId> {
    let mut keys: Vec<KeyId> = root_keys(root).into_iter().collect();
    keys.sort_unstable();
    keys
}

fn ids(seeds: &[u8]) -> Vec<KeyId> {
    let mut ids: Vec<KeyId> = seeds.iter().map(|seed| id(*seed)).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn the_first_root_has_the_keys_and_the_threshold_that_are_wanted() {
    let one = design(&gun(), None, &first_wishes(&[1]), now()).unwrap();
    assert_eq!((one.version, one.roles.root.threshold.get()), (Version::FIRST, 1));
    assert_eq!(one.expires, Expires::at(now().plus(ROOT_LIFE)));
    let three = root(&[1, 2, 3], 2);
    assert_eq!((keys(&three), three.roles.root.threshold.get()), (ids(&[1, 2, 3]), 2));
    assert_eq!((spares(&one), spares(&three), spares(&root(&[1, 2], 2))), (0, 1, 0));
}

#[test]
fn keys_come_and_go_and_the_threshold_changes_in_one_step() {
    let base = root(&[1], 1);
    let wishes = Wishes {
        add: vec![certificate(2), certificate(3)],
        remove: vec![id(1)],
        threshold: threshold(2),
        targets: Some(plain(30)),
        ..Wishes::default()
    };
    let next = designed(&base, &wishes).unwrap();
    assert_eq!((next.version.get(), keys(&next), next.roles.root.threshold.get()), (2, ids(&[2, 3]), 2));
    assert_eq!(next.roles.targets.key_ids, [plain(30).id()]);
    assert_eq!(next.roles.snapshot, base.roles.snapshot);
    // Nothing that no policy could allow.
    let differences = diff::root(Some(&base), &next);
    assert!(!differences.iter().any(|one| matches!(one, Difference::Other { .. })), "{differences:?}");

    // The same back again: fewer keys than the old threshold wants are enough where the new one wants fewer.
    let back = Wishes { remove: vec![id(3)], threshold: threshold(1), ..Wishes::default() };
    let last = designed(&next, &back).unwrap();
    assert_eq!((keys(&last), last.roles.root.threshold.get()), (ids(&[2]), 1));
}

#[test]
fn a_renewed_certificate_takes_the_place_of_the_old_one() {
    let base = root(&[1, 2], 2);
    let new = certificate_for(1, 9, &gun());
    let next = designed(&base, &Wishes { renewed: vec![new.clone()], ..Wishes::default() }).unwrap();
    assert_eq!(keys(&next), ids(&[1, 2]));
    assert!(next.roles.root.key_ids.contains(&new.id()));
    assert!(!next.roles.root.key_ids.contains(&certificate(1).id()));
    assert_eq!(next.roles.root.threshold.get(), 2);

    let same = Wishes { renewed: vec![certificate(1)], ..Wishes::default() };
    assert!(matches!(designed(&base, &same), Err(DesignError::Certificate { .. })));
    let goes =
        Wishes { renewed: vec![new], remove: vec![id(1)], threshold: threshold(1), ..Wishes::default() };
    assert!(matches!(designed(&base, &goes), Err(DesignError::Certificate { .. })));
    let stranger = Wishes { renewed: vec![certificate(7)], ..Wishes::default() };
    assert!(matches!(designed(&base, &stranger), Err(DesignError::Certificate { .. })));
}

#[test]
fn nothing_to_change_is_refused_unless_a_new_expiry_is_wanted() {
    let base = root(&[1, 2], 1);
    let standing = [
        Wishes::default(),
        Wishes { threshold: threshold(1), ..Wishes::default() },
        Wishes { targets: Some(plain(20)), ..Wishes::default() },
    ];
    for wishes in standing {
        assert_eq!(designed(&base, &wishes), Err(DesignError::Nothing { gun: gun() }));
        let renew = Wishes { unchanged: Unchanged::Renew, ..wishes };
        let later = design(&gun(), Some(&base), &renew, now().plus(ROOT_LIFE)).unwrap();
        let differences = diff::root(Some(&base), &later);
        assert!(matches!(differences.as_slice(), [Difference::ExpiryChanged { .. }]), "{differences:?}");
    }
}

#[test]
fn wishes_that_would_end_a_repository_are_refused() {
    let one = root(&[1], 1);
    let last = Wishes { remove: vec![id(1)], ..Wishes::default() };
    assert_eq!(designed(&one, &last), Err(DesignError::LastKey { gun: gun() }));
    let high = Wishes { threshold: threshold(2), ..Wishes::default() };
    assert_eq!(designed(&one, &high), Err(DesignError::Threshold { gun: gun(), threshold: 2, keys: 1 }));
    let two = root(&[1, 2], 2);
    let fewer = Wishes { remove: vec![id(1)], ..Wishes::default() };
    assert_eq!(designed(&two, &fewer), Err(DesignError::Threshold { gun: gun(), threshold: 2, keys: 1 }));
    let first = Wishes { threshold: threshold(3), ..first_wishes(&[1, 2]) };
    let refused = design(&gun(), None, &first, now());
    assert_eq!(refused, Err(DesignError::Threshold { gun: gun(), threshold: 3, keys: 2 }));
}

#[test]
fn a_key_stands_once_and_has_one_role() {
    let base = root(&[1], 1);
    let again = Wishes { add: vec![certificate_for(1, 9, &gun())], ..Wishes::default() };
    assert_eq!(designed(&base, &again), Err(DesignError::AddedTwice { gun: gun(), key: id(1) }));
    let twice = Wishes { add: vec![certificate(2), certificate(2)], ..Wishes::default() };
    assert_eq!(designed(&base, &twice), Err(DesignError::AddedTwice { gun: gun(), key: id(2) }));
    let first = design(&gun(), None, &first_wishes(&[1, 1]), now());
    assert_eq!(first, Err(DesignError::AddedTwice { gun: gun(), key: id(1) }));
    let both = Wishes { add: vec![certificate(2)], remove: vec![id(2)], ..Wishes::default() };
    assert_eq!(designed(&base, &both), Err(DesignError::AddedAndRemoved { gun: gun(), key: id(2) }));
    let roles = (RoleName::Root, RoleName::Targets);
    let tagging = Wishes { targets: Some(plain(1)), ..Wishes::default() };
    assert_eq!(designed(&base, &tagging), Err(DesignError::TwoRoles { gun: gun(), key: id(1), roles }));
}

#[test]
fn a_first_root_needs_every_key() {
    let none = Wishes { add: Vec::new(), ..first_wishes(&[]) };
    assert_eq!(design(&gun(), None, &none, now()), Err(DesignError::NoRootKey { gun: gun() }));
    let lacking = Wishes { timestamp: None, ..first_wishes(&[1]) };
    let refused = design(&gun(), None, &lacking, now());
    assert_eq!(refused, Err(DesignError::NoKey { gun: gun(), role: RoleName::Timestamp }));
}

#[test]
fn a_certificate_for_anybody_else_is_refused() {
    let base = root(&[1], 1);
    let other: Gun = "registry.example.com/team/other".parse().unwrap();
    for key in [certificate_for(2, 1, &other), plain(2)] {
        let refused = designed(&base, &Wishes { add: vec![key], ..Wishes::default() });
        assert!(
            matches!(refused, Err(DesignError::OtherRepository { .. } | DesignError::Edit { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn a_key_is_known_by_any_unique_beginning_of_either_id() {
    let root = root(&[1, 2], 1);
    let canonical = id(1).to_string();
    let listed = certificate(1).id().to_string();
    for written in [&canonical[..], &canonical[..8], &listed[..], &listed[..8].to_uppercase()] {
        assert_eq!(meant(&gun(), &root, written), Ok(id(1)), "{written}");
    }
    assert!(matches!(meant(&gun(), &root, ""), Err(DesignError::Unknown { .. })));
    assert!(matches!(meant(&gun(), &root, "ffff\u{1b}[2J"), Err(DesignError::Unknown { .. })));
    let unknown = Error::from(meant(&gun(), &root, "ffff\u{1b}[2J").unwrap_err());
    assert_eq!(unknown.reason, Reason::KeyUnknown);
    assert!(!unknown.message.contains('\u{1b}') && unknown.message.contains(&canonical), "{unknown}");
    // Sixteen first digits, and seventeen ids: two begin alike.
    let many = root_of(17);
    let first = |digit: char| keys(&many).iter().filter(|id| id.to_string().starts_with(digit)).count();
    let shared = "0123456789abcdef".chars().find(|digit| first(*digit) > 1).unwrap();
    assert!(matches!(meant(&gun(), &many, &shared.to_string()), Err(DesignError::Ambiguous { .. })));
}

fn root_of(count: u8) -> Root {
    root(&(50..50 + count).collect::<Vec<_>>(), 1)
}

#[test]
fn every_refusal_says_what_to_type() {
    let refused = Error::from(designed(&root(&[1], 1), &Wishes::default()).unwrap_err());
    assert_eq!((refused.reason, refused.exit_code()), (Reason::Usage, 2));
    assert!(refused.hint.unwrap().contains("--renew"));
}
