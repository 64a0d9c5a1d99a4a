//! Trust documents: the exact reader takes only what writing gives, the tolerant one only what every reader reads alike.
use std::collections::BTreeSet;
use std::fmt::Debug;

use serde_json::Value;
use touchmark_tuf::{Document, Root, Snapshot, Targets, Timestamp, Unverified, assemble, exact};

use crate::json;

/// Any bytes as each kind of document: as a signed part that is to be signed, and as a file that was served.
pub fn documents(data: &[u8]) {
    kind::<Root>(data);
    kind::<Targets>(data);
    kind::<Snapshot>(data);
    kind::<Timestamp>(data);
}

fn kind<D: Document + Clone + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(document) = exact::<D>(bytes) {
        assert_eq!(document.write(), bytes, "what is signed is what was understood");
        json::check(bytes, json::Names::DifferInMoreThanCase);
    }
    let Ok(file) = Unverified::<D>::parse(bytes) else { return };
    assert_eq!(file.file(), bytes);
    let (signed, signatures) = (file.signed_bytes(), file.signatures());
    json::check(bytes, json::Names::Differ);
    // The canonical form says what the file says, to a reader that is not ours.
    let value = |text| serde_json::from_slice::<Value>(text).expect("JSON to us, JSON to all");
    assert_eq!(value(bytes)["signed"], value(signed));
    let ids: BTreeSet<_> = signatures.iter().map(|signature| signature.key_id).collect();
    assert!(ids.len() <= signatures.len());

    let document = file.document_unverified();
    if let Ok(exactly) = exact::<D>(signed) {
        assert_eq!(&exactly, document, "one document to the signer and to the reader");
    }
    for again in [signed.to_vec(), document.write()] {
        let Ok(again) = assemble(&again, signatures) else { continue };
        let again = Unverified::<D>::parse(&again).expect("what we write we read");
        assert_eq!(again.signatures(), signatures);
        assert_eq!(again.document_unverified(), document);
    }
    if let Ok(again) = assemble(signed, signatures) {
        assert_eq!(
            Unverified::<D>::parse(&again).unwrap().signed_bytes(),
            signed,
            "canonical stays canonical"
        );
    }
}
