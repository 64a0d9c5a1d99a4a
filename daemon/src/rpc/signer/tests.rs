use touchmark_tuf::{KeyId, Method, Signature};

use super::*;

fn kept(role: &str, version: u64, signatures: usize) -> Kept {
    let signature =
        Signature { key_id: KeyId::from_bytes([1; 32]), method: Method::Ecdsa, bytes: vec![1; 64] };
    Kept {
        role: role.parse().unwrap(),
        version: version.try_into().unwrap(),
        digest: touchmark_tuf::Sha256Digest::of(b"{}"),
        signed: b"{}".to_vec(),
        signatures: vec![signature; signatures],
        source: Source::Signed,
        published: false,
        confirmed: true,
    }
}

/// Role, version and whether it is said to be incomplete, for each of what a client may ask: nothing more, `unsigned`,
/// `incomplete`.
fn answers(root: Kept, trusted: Option<Kept>) -> [Vec<String>; 3] {
    let requests = [(false, false), (true, false), (false, true)]
        .map(|(unsigned, incomplete)| v1::LastRequest { unsigned, incomplete, ..Default::default() });
    requests.map(|request| {
        let shown = shown(vec![root.clone(), kept("targets", 7, 1)], trusted.clone());
        let wanted = shown.iter().filter(|shown| shown.is_wanted(&request));
        let word = |incomplete| if incomplete { " incomplete" } else { "" };
        let line = |one: &Shown| format!("{} {}{}", one.kept.role, one.kept.version, word(one.incomplete));
        wanted.map(line).collect()
    })
}

#[test]
fn the_trusted_root_is_shown_and_one_that_lacks_signatures_to_whoever_asks_for_it() {
    let all = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
    let trusted = all(&["root 2", "targets 7"]);
    let both = all(&["root 2", "root 3 incomplete", "targets 7"]);
    let complete = answers(kept("root", 2, 1), Some(kept("root", 2, 1)));
    assert_eq!(complete, [trusted.clone(), trusted.clone(), trusted.clone()]);
    // What was signed here, or would be again after a crash, is nobody's current root.
    for signatures in [1, 0] {
        let above = answers(kept("root", 3, signatures), Some(kept("root", 2, 1)));
        assert_eq!(above, [trusted.clone(), trusted.clone(), both.clone()]);
    }
    let none = all(&["targets 7"]);
    let first = all(&["root 1 incomplete", "targets 7"]);
    assert_eq!(answers(kept("root", 1, 1), None), [none.clone(), none.clone(), first.clone()]);
    // A repository that a crash took while it was begun is signed again as any document is.
    assert_eq!(answers(kept("root", 1, 0), None), [none, first.clone(), first]);
}
