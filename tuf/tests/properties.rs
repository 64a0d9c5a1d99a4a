//! What must hold for every input: writing and reading agree, no input makes a reader panic, nothing forged verifies,
//! and the differences that are told are the differences that are there.
#[cfg(test)]
#[path = "../src/testing.rs"]
#[expect(dead_code, reason = "made for the unit tests too")]
mod testing;

#[cfg(test)]
mod properties {
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::collection::{btree_map, vec};
    use proptest::option;
    use proptest::prelude::*;
    use touchmark_tuf::{
        DelegatedRole, DelegationName, Delegations, Difference, Document, EcdsaSignature, Expires, Hashes,
        Instant, PublicKey, Ring, RoleName, Root, RootCertificate, Sha256Digest, Sha512Digest, Signature,
        Snapshot, Target, TargetChange, TargetName, Targets, Timestamp, Unverified, Version, assemble, diff,
        exact, next_targets,
    };

    use super::testing::{Key, days};

    const FILES: [&[u8]; 5] = [
        include_bytes!("data/notary/root.json"),
        include_bytes!("data/notary/targets.json"),
        include_bytes!("data/notary/snapshot.json"),
        include_bytes!("data/notary/timestamp.json"),
        include_bytes!("data/notary/targets-with-two-signers.json"),
    ];

    fn settings() -> ProptestConfig {
        ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) }
    }

    fn text(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
        let special =
            prop::sample::select(vec!['"', '\\', '<', '>', '&', '\u{2028}', '\u{2029}', '\u{212a}', '/']);
        let character = prop_oneof![4 => prop::char::range(' ', '~'), 1 => special, 1 => any::<char>()];
        vec(character.prop_filter("no control character", |c| !c.is_control()), length)
            .prop_map(|characters| characters.into_iter().collect())
    }

    fn tags() -> impl Strategy<Value = TargetName> {
        text(1..12).prop_map(|name| TargetName::try_from(name).unwrap())
    }

    fn custom() -> impl Strategy<Value = Box<str>> {
        let quoted = |text: String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            (-(1_i64 << 53)..=1 << 53).prop_map(|number| number.to_string()),
            text(0..6).prop_map(quoted),
        ];
        let value = leaf.prop_recursive(3, 12, 4, move |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
                btree_map("[a-z]{1,3}", inner, 0..4).prop_map(|fields| {
                    let fields: Vec<_> =
                        fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                    format!("{{{}}}", fields.join(","))
                }),
            ]
        });
        value.prop_filter("null is no custom value", |text| text != "null").prop_map(Into::into)
    }

    fn target() -> impl Strategy<Value = Target> {
        (
            any::<[u8; 32]>(),
            option::weighted(0.1, any::<u8>()),
            0..=1_u64 << 53,
            option::weighted(0.2, custom()),
        )
            .prop_map(|(sha256, sha512, length, custom)| {
                let sha512 = sha512.map(|seed| Box::new(Sha512Digest::of(&[seed])));
                Target {
                    hashes: Hashes { sha256: Some(Sha256Digest::from_bytes(sha256)), sha512 },
                    length,
                    custom,
                }
            })
    }

    fn delegations() -> impl Strategy<Value = Delegations> {
        let role = (vec(1_u8..6, 0..4), vec(text(0..4), 0..3), 1_u32..4);
        btree_map("[a-z0-9_-]{1,8}", role, 0..4).prop_map(|roles| {
            let mut delegations = Delegations::default();
            for (name, (seeds, paths, threshold)) in roles {
                let keys: BTreeMap<_, PublicKey> = seeds
                    .into_iter()
                    .map(|seed| Key::plain(seed).public)
                    .map(|key| (key.id(), key))
                    .collect();
                delegations.roles.push(DelegatedRole {
                    name: DelegationName::new(&name).unwrap(),
                    key_ids: keys.keys().copied().collect(),
                    threshold: NonZeroU32::new(threshold).unwrap(),
                    paths,
                });
                delegations.keys.extend(keys);
            }
            delegations
        })
    }

    fn expires() -> impl Strategy<Value = Expires> {
        prop_oneof![
            (0_i64..4_000_000_000).prop_map(|seconds| Expires::at(Instant::from_unix(seconds))),
            Just("2036-11-19T19:25:57.929075417+05:30".parse().unwrap()),
        ]
    }

    fn targets() -> impl Strategy<Value = Targets> {
        let version = (1..=(1_u64 << 53) - 1).prop_map(|number| Version::try_from(number).unwrap());
        (btree_map(tags(), target(), 0..12), delegations(), expires(), version).prop_map(
            |(targets, delegations, expires, version)| Targets { delegations, expires, targets, version },
        )
    }

    /// One change somewhere in a text: a byte replaced, removed or put in, a part doubled or cut away.
    fn changed(mut bytes: Vec<u8>, at: prop::sample::Index, kind: u8, byte: u8, length: usize) -> Vec<u8> {
        let at = at.index(bytes.len());
        let end = bytes.len().min(at + length);
        match kind % 5 {
            0 => bytes[at] = byte,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, byte),
            3 => {
                let part = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, part));
            }
            _ => drop(bytes.drain(at..end)),
        }
        bytes
    }

    /// What a reader of any kind makes of a file. Whatever reads exactly must be written so.
    fn read_as<D: Document>(bytes: &[u8]) {
        if let Ok(file) = Unverified::<D>::parse(bytes) {
            assert_eq!(file.file(), bytes);
            let signed = file.signed_bytes();
            if let Ok(document) = exact::<D>(signed) {
                assert_eq!(document.write(), signed);
            }
        }
        if let Ok(document) = exact::<D>(bytes) {
            assert_eq!(document.write(), bytes);
        }
    }

    fn read_as_any(bytes: &[u8]) {
        read_as::<Root>(bytes);
        read_as::<Targets>(bytes);
        read_as::<Snapshot>(bytes);
        read_as::<Timestamp>(bytes);
    }

    proptest! {
        #![proptest_config(settings())]

        #[test]
        fn what_is_written_reads_exactly(document in targets()) {
            let signed = document.write();
            prop_assert_eq!(exact::<Targets>(&signed), Ok(document));
        }

        #[test]
        fn a_file_holds_exactly_what_was_signed(document in targets()) {
            let (signed, key) = (document.write(), Key::plain(1));
            let file = assemble(&signed, &[key.sign(&signed)]).unwrap();
            prop_assert!(!file.iter().any(|byte| matches!(byte, b'<' | b'>' | b'&')));
            let parsed = Unverified::<Targets>::parse(&file).unwrap();
            prop_assert_eq!(parsed.signed_bytes(), signed.as_slice());
            prop_assert_eq!(parsed.document_unverified(), &document);
            let role = touchmark_tuf::RoleKeys::any_of(vec![key.public.id()]);
            let keys = [(key.public.id(), key.public)].into();
            prop_assert!(parsed.verify(&role, &keys, &Ring).unwrap().is_go_form());
        }

        #[test]
        fn changed_files_are_read_or_refused(
            which in 0..FILES.len(),
            changes in vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>(), 1_usize..40), 1..4),
        ) {
            let mut bytes = FILES[which].to_vec();
            for (at, kind, byte, length) in changes {
                if !bytes.is_empty() {
                    bytes = changed(bytes, at, kind, byte, length);
                }
            }
            read_as_any(&bytes);
        }

        #[test]
        fn changed_signed_parts_are_exact_or_refused(
            document in targets(), at in any::<prop::sample::Index>(), kind in any::<u8>(), byte in any::<u8>(),
            length in 1_usize..40,
        ) {
            let bytes = changed(document.write(), at, kind, byte, length);
            read_as::<Targets>(&bytes);
        }

        #[test]
        fn nothing_changed_verifies_with_another_meaning(
            at in any::<prop::sample::Index>(), kind in any::<u8>(), byte in any::<u8>(), length in 1_usize..40,
        ) {
            let root = Unverified::<Root>::parse(FILES[0]).unwrap();
            let root = root.document_unverified();
            let good = Unverified::<Targets>::parse(FILES[1]).unwrap();
            let bytes = changed(FILES[1].to_vec(), at, kind, byte, length);
            if let Ok(file) = Unverified::<Targets>::parse(&bytes)
                && let Ok(verified) = file.verify(&root.roles.targets, &root.keys, &Ring)
            {
                prop_assert_eq!(verified.signed_bytes(), good.signed_bytes());
                prop_assert_eq!(&*verified, good.document_unverified());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
            read_as_any(&bytes);
        }

        #[test]
        fn any_text_of_json_is_read_or_refused(parts in vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "0041", "d800", "1", "-", ".", "e", "null", "true", " ", "a",
            "\"signed\":", "\"signatures\":", "\"_type\":\"Root\"", "\u{212a}",
        ]), 0..60)) {
            read_as_any(parts.concat().as_bytes());
        }

        #[test]
        fn differences_are_those_that_the_changes_made(
            base in btree_map(tags(), target(), 0..8),
            set in vec((tags(), target()), 0..4),
            moved in vec((any::<prop::sample::Index>(), target()), 0..4),
            removed in vec(any::<prop::sample::Index>(), 0..3),
        ) {
            let expires = days(1);
            let base = Targets { targets: base, ..touchmark_tuf::first_targets(expires.clone()) };
            let names: Vec<_> = base.targets.keys().cloned().collect();
            let mut changes: Vec<_> =
                set.into_iter().map(|(name, target)| TargetChange::Set { name, target }).collect();
            if !names.is_empty() {
                changes.extend(moved.into_iter().map(|(at, target)| TargetChange::Set { name: at.get(&names).clone(), target }));
                let gone: std::collections::BTreeSet<_> = removed.iter().map(|at| at.get(&names).clone()).collect();
                changes.extend(gone.into_iter().map(|name| TargetChange::Remove { name }));
            }
            let new = next_targets(&base, &changes, expires).unwrap();
            let mut replayed = base.targets.clone();
            for difference in diff::targets(Some(&base), &new) {
                match difference {
                    Difference::TagAdded { tag, digest, length } => {
                        prop_assert!(!base.targets.contains_key(&tag));
                        prop_assert_eq!((new.targets[&tag].sha256(), new.targets[&tag].length), (Some(&digest), length));
                        replayed.insert(tag.clone(), new.targets[&tag].clone());
                    }
                    Difference::TagMoved { tag, from, to } => {
                        prop_assert_eq!(base.targets[&tag].sha256(), Some(&from));
                        prop_assert_eq!(new.targets[&tag].sha256(), Some(&to));
                        prop_assert_ne!(&base.targets[&tag], &new.targets[&tag]);
                        replayed.insert(tag.clone(), new.targets[&tag].clone());
                    }
                    Difference::TagRemoved { tag } => drop(replayed.remove(&tag)),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            prop_assert_eq!(replayed, new.targets);
        }

        #[test]
        fn no_difference_means_the_same_document(a in targets(), b in targets()) {
            let mut same = Targets { version: a.version, ..b };
            if diff::targets(Some(&a), &same).is_empty() {
                same.delegations.keys.clone_from(&a.delegations.keys);
                prop_assert_eq!(&a, &same);
            }
            prop_assert_eq!(diff::targets(Some(&a), &a), vec![]);
        }

        #[test]
        fn differences_are_told_in_printable_ascii(a in targets(), b in targets()) {
            for difference in diff::targets(Some(&a), &b) {
                let words = difference.to_string();
                prop_assert!(words.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", words);
            }
        }

        #[test]
        fn times_are_written_and_read(seconds in -62_167_219_200_i64..=253_402_300_799) {
            let instant = Instant::from_unix(seconds);
            prop_assert_eq!(instant.to_string().parse::<Instant>(), Ok(instant));
        }

        #[test]
        fn any_text_is_a_time_or_none(text in text(0..40)) {
            if let Ok(expires) = text.parse::<Expires>() {
                prop_assert_eq!(expires.text(), text);
            }
        }

        #[test]
        fn signatures_go_through_der_and_back(r in any::<[u8; 32]>(), s in any::<[u8; 32]>(), zeros in 0_usize..31) {
            let mut raw = [r, s].concat();
            raw[..zeros].fill(0);
            prop_assume!(raw[..32].iter().any(|byte| *byte != 0) && s != [0; 32]);
            let signature = EcdsaSignature::from_raw(raw.try_into().unwrap());
            prop_assert_eq!(EcdsaSignature::from_der(&signature.to_der()), Ok(signature));
        }

        #[test]
        fn any_bytes_are_der_of_a_signature_or_not(bytes in vec(any::<u8>(), 0..80)) {
            if let Ok(signature) = EcdsaSignature::from_der(&bytes) {
                prop_assert_eq!(signature.to_der(), bytes);
            }
        }

        #[test]
        fn a_changed_certificate_is_one_in_gos_form_or_none(
            at in any::<prop::sample::Index>(), kind in any::<u8>(), byte in any::<u8>(), length in 1_usize..40,
        ) {
            let root = Unverified::<Root>::parse(FILES[0]).unwrap();
            let pem = root.document_unverified().keys_of(&RoleName::Root).next().unwrap().public().to_vec();
            let lines: String = std::str::from_utf8(&pem).unwrap().lines().filter(|line| !line.starts_with('-')).collect();
            let der = changed(STANDARD.decode(lines).unwrap(), at, kind, byte, length);
            let lines = STANDARD.encode(der);
            let lines: Vec<_> = lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
            let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
            if let Ok(certificate) = RootCertificate::from_pem(pem.as_bytes()) {
                prop_assert_eq!(certificate.pem(), &pem);
                prop_assert!(!certificate.common_name().is_empty());
                prop_assert_eq!(certificate.public_key().spki().unwrap(), certificate.spki());
            }
            let changed_spki = changed(Key::plain(1).public.spki().unwrap(), at, kind, byte, length);
            if let Ok(key) = PublicKey::from_spki(&changed_spki) {
                prop_assert_eq!(key.spki(), Ok(changed_spki));
            }
        }

        #[test]
        fn any_bytes_are_a_key_or_not(bytes in vec(any::<u8>(), 0..120)) {
            prop_assert!(PublicKey::from_spki(&bytes).is_err());
            prop_assert!(RootCertificate::from_pem(&bytes).is_err());
        }
    }

    #[test]
    fn fifty_thousand_tags_are_read_signed_and_compared() {
        let tag = |number: u32| TargetName::try_from(format!("release-{number}")).unwrap();
        let target = |number: u32| Target::new(Sha256Digest::of(&number.to_be_bytes()), u64::from(number));
        let mut document = touchmark_tuf::first_targets(days(1));
        document.targets = (0..50_000).map(|number| (tag(number), target(number))).collect();
        let signed = document.write();
        assert_eq!(exact::<Targets>(&signed).unwrap(), document);
        let key = Key::plain(1);
        let signatures: [Signature; 1] = [key.sign(&signed)];
        let file = assemble(&signed, &signatures).unwrap();
        assert_eq!(Unverified::<Targets>::parse(&file).unwrap().document_unverified(), &document);
        let change = TargetChange::Set { name: tag(7), target: target(8) };
        let next = next_targets(&document, &[change], days(1)).unwrap();
        assert_eq!(diff::targets(Some(&document), &next).len(), 1);
    }
}
