//! Files that Docker 28 and Notary 0.7 made: they verify, and are written again to the byte.
#[cfg(test)]
mod vectors {
    use std::sync::Arc;

    use touchmark_tuf::{
        Document, Pin, Ring, RoleName, Root, RootSource, Sha256Digest, Snapshot, Targets, Timestamp, Trusted,
        Unverified, assemble, exact,
    };

    const ROOT: &[u8] = include_bytes!("data/notary/root.json");
    const TARGETS: &[u8] = include_bytes!("data/notary/targets.json");
    const SNAPSHOT: &[u8] = include_bytes!("data/notary/snapshot.json");
    const TIMESTAMP: &[u8] = include_bytes!("data/notary/timestamp.json");
    const TWO_SIGNERS: &[u8] = include_bytes!("data/notary/targets-with-two-signers.json");

    /// The file has these digests, its signed part too, and both are written again to the byte.
    fn reproduces<D: Document>(
        file: &[u8],
        length: usize,
        sha256: &str,
        signed_length: usize,
        signed_sha256: &str,
    ) {
        assert_eq!((file.len(), Sha256Digest::of(file).to_string().as_str()), (length, sha256));
        let parsed = Unverified::<D>::parse(file).unwrap();
        let signed = parsed.signed_bytes();
        assert_eq!(
            (signed.len(), Sha256Digest::of(signed).to_string().as_str()),
            (signed_length, signed_sha256)
        );
        assert_eq!(parsed.document_unverified().write(), signed);
        assert_eq!(exact::<D>(signed).unwrap().write(), signed);
        assert_eq!(assemble(&parsed.document_unverified().write(), parsed.signatures()).unwrap(), file);
    }

    #[test]
    fn every_file_is_written_again_to_the_byte() {
        reproduces::<Root>(
            ROOT,
            2380,
            "c6c638e5752055af77a130f51f28a63ab6f28ad6d4bad958fa191c5bb07d0aab",
            2163,
            "f0af0e3952a440a52e1aae93c2faa47ef8786a06585398790a7f814d66eb4861",
        );
        reproduces::<Targets>(
            TARGETS,
            512,
            "cb7441e9568552df370a12bc53683cdf651c22c08f2ad2f658f570bea77634e5",
            295,
            "cac5d2edafa7c4e6411bff6f51c1c4468b65ad4190da3b372d74233144b0b738",
        );
        reproduces::<Snapshot>(
            SNAPSHOT,
            683,
            "e11bc3c32888e35829215a0284a9513257bb7cd040b91108c87352c1a4285d69",
            466,
            "8ea11abc9709db846bdb1baf2cdf1723599ad09e3c9296cfcd9e74b038049815",
        );
        reproduces::<Timestamp>(
            TIMESTAMP,
            495,
            "5073f469c88336dedc85a94f3c38933cbbbd4d491cae263cae7541658a6fba28",
            278,
            "f26c75cc63cd11eb1ca0db0405647155cd3676bda1381677e727953c4cbbf705",
        );
        let two = Unverified::<Targets>::parse(TWO_SIGNERS).unwrap();
        assert_eq!(assemble(&two.document_unverified().write(), two.signatures()).unwrap(), TWO_SIGNERS);
    }

    #[test]
    fn a_reader_believes_them_in_their_time() {
        let gun = "localhost:5000/ntry/a".parse().unwrap();
        let now = "2026-11-22T16:00:00Z".parse().unwrap();
        let source = RootSource::First { file: ROOT, pin: &Pin::FirstUse };
        let mut trusted = Trusted::start(&gun, source, Arc::new(Ring)).unwrap();
        trusted.check_root(now).unwrap();
        trusted.timestamp(TIMESTAMP, now).unwrap();
        trusted.snapshot(SNAPSHOT, now).unwrap();
        trusted.targets(&RoleName::Targets, TARGETS, now).unwrap();
        let tag = "2".parse().unwrap();
        let found = trusted.lookup(&tag).unwrap().unwrap();
        assert_eq!((found.role, found.target.length), (RoleName::Targets, 523));
        assert!(found.target.sha256().unwrap().to_string().starts_with("26f475fd"));
    }
}
