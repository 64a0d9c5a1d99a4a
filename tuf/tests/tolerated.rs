//! Files that other programs might write and a reader must take, all with the same good signature: `data/tolerated`.
//! None is in Go's form, so none may be published with a snapshot that the server signs.
#[cfg(test)]
#[path = "../src/testing.rs"]
#[expect(dead_code, reason = "made for the unit tests too")]
mod testing;

#[cfg(test)]
mod fixtures {
    use std::path::PathBuf;

    use touchmark_tuf::{Document as _, Ring, Signature, Targets, Unverified, exact};

    use super::testing::World;

    fn replaced(text: &str, from: &str, to: &str) -> String {
        assert!(text.contains(from), "{from} is not in {text}");
        text.replacen(from, to, 1)
    }

    /// The file, with its signature made anew over what it says: `signed` must be canonical.
    fn signed(world: &World, signed: &str) -> String {
        let Signature { key_id, bytes, .. } = world.targets_key.sign(signed.as_bytes());
        let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        format!(
            r#"{{"signed":{signed},"signatures":[{{"keyid":"{key_id}","method":"ecdsa","sig":"{base64}"}}]}}"#
        )
    }

    fn cases() -> Vec<(&'static str, String)> {
        let world = World::new();
        let text = String::from_utf8(world.targets.write()).unwrap();
        let good = signed(&world, &text);
        let with = |from: &str, to: &str| signed(&world, &replaced(&text, from, to));
        let (head, signatures) = good.split_once(r#","signatures":"#).unwrap();
        let first = format!(
            r#"{{"signatures":{},{}}}"#,
            signatures.strip_suffix('}').unwrap(),
            head.strip_prefix('{').unwrap()
        );
        let alice = format!(r#""keyids":["{}"],"name":"targets/alice""#, world.signer_key.public.id());
        vec![
            (
                "pretty-printed",
                replaced(&good, r#"{"signed":{"_type":"#, "{\n  \"signed\": {\n    \"_type\": "),
            ),
            ("signatures-first", first),
            ("trailing-newline", format!("{good}\n")),
            ("escaped-letters", replaced(&good, r#""targets":{"1""#, r#""t\u0061rgets":{"\u0031""#)),
            ("upper-case-method", replaced(&good, r#""method":"ecdsa""#, r#""method":"ECDSA""#)),
            ("field-in-a-signature", replaced(&good, r#""sig":""#, r#""note":[],"sig":""#)),
            ("field-beside-signed", replaced(&good, r#"{"signed":"#, r#"{"note":{"a":null},"signed":"#)),
            ("names-out-of-order", out_of_order(&good)),
            ("unknown-field", with(r#","targets":{"#, r#","spec_version":"1.0","targets":{"#)),
            ("unknown-field-in-a-tag", with(r#","length":3"#, r#","length":3,"media":{"type":["x"]}"#)),
            ("unknown-digest", with(r#""hashes":{"#, r#""hashes":{"blake2":"AAAA","#)),
            ("expires-plus-zero", with(r#"00Z","targets""#, r#"00+00:00","targets""#)),
            ("key-ids-empty-array", with(&alice, r#""keyids":[],"name":"targets/alice""#)),
            ("unknown-signature-method", replaced(&good, r#""signatures":["#, UNKNOWN_METHOD)),
        ]
    }

    const UNKNOWN_METHOD: &str = concat!(
        r#""signatures":[{"keyid":"0000000000000000000000000000000000000000000000000000000000000000","#,
        r#""method":"lamport","sig":"AAAA"},"#
    );

    /// `_type` moved to the end of the signed part.
    fn out_of_order(good: &str) -> String {
        let text = replaced(good, r#""_type":"Targets","#, "");
        replaced(&text, r#""version":2}"#, r#""version":2,"_type":"Targets"}"#)
    }

    #[test]
    fn other_forms_of_a_good_file_are_read_and_known_for_it() {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "data", "tolerated"].iter().collect();
        let world = World::new();
        for (name, made) in cases() {
            let path = folder.join(format!("{name}.json"));
            if std::env::var_os("TOUCHMARK_BLESS").is_some() {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, &made).unwrap();
            }
            let file = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(String::from_utf8_lossy(&file), made, "{name} is not what its maker makes");
            let parsed =
                Unverified::<Targets>::parse(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
            let verified = parsed.verify(&world.root.roles.targets, &world.root.keys, &Ring);
            let verified = verified.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(verified.targets, world.targets.targets, "{name}");
            assert_eq!(verified.file(), file, "{name}");
            let may_be_signed = exact::<Targets>(verified.signed_bytes()).is_ok();
            assert!(!(may_be_signed && verified.is_go_form()), "{name}: nothing is wrong with it");
        }
        let count = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(count, cases().len(), "every file there is tried");
    }
}
