use super::*;

fn key(seed: u8) -> KeyId {
    KeyId::from_bytes([seed; 32])
}

fn side(whose: Whose, threshold: usize, keys: &[u8]) -> Side {
    Side { whose, threshold, keys: keys.iter().map(|seed| key(*seed)).collect() }
}

fn quorum(old: (usize, &[u8]), new: (usize, &[u8])) -> Quorum {
    Quorum { sides: vec![side(Whose::Old, old.0, old.1), side(Whose::New, new.0, new.1)] }
}

fn chosen(quorum: &Quorum, held: &[u8]) -> Vec<KeyId> {
    quorum.choose(&held.iter().map(|seed| key(*seed)).collect::<Vec<_>>())
}

fn keys(seeds: &[u8]) -> Vec<KeyId> {
    seeds.iter().map(|seed| key(*seed)).collect()
}

#[test]
fn as_few_keys_sign_as_suffice() {
    // A key that stays counts twice; one that comes or goes once.
    assert_eq!(chosen(&quorum((1, &[1, 2]), (1, &[2, 3])), &[1, 2, 3]), keys(&[2]));
    assert_eq!(chosen(&quorum((1, &[1]), (1, &[2])), &[1, 2]), keys(&[1, 2]));
    assert_eq!(chosen(&quorum((1, &[1, 2]), (2, &[1, 2, 3])), &[3, 1, 2]), keys(&[3, 1]));
    assert_eq!(chosen(&quorum((2, &[1, 2, 3]), (1, &[3])), &[1, 2, 3]), keys(&[1, 3]));
}

#[test]
fn keys_that_do_not_suffice_are_all_chosen_and_the_rest_is_named() {
    let quorum = quorum((2, &[1, 2]), (2, &[2, 3]));
    assert_eq!(chosen(&quorum, &[2, 9]), keys(&[2]));
    let missing = quorum.missing(&BTreeSet::from([key(2)]));
    let missing: Vec<_> = missing.iter().map(|(side, missing)| (side.whose, *missing)).collect();
    assert_eq!(missing, [(Whose::Old, 1), (Whose::New, 1)]);
}
