use serde_json::json;
use touchmark_proto::transcript::Chain;

use super::*;
use crate::ceremony::entry::EntryError;

fn clock() -> Moment {
    Moment { time_unix_ms: 1_790_000_000_000, uptime_ms: 4_711 }
}

fn key() -> touchmark_tuf::KeyId {
    touchmark_tuf::KeyId::from_bytes([7; 32])
}

fn begun() -> Said {
    Said::Begun(Begun {
        format: FORMAT.to_owned(),
        plan: touchmark_tuf::Sha256Digest::of(b"plan"),
        title: "spring \u{202e}".to_owned(),
        rehearsal: false,
        tool: "touchmark 0".to_owned(),
        daemon: "touchmarkd 0".to_owned(),
        key: key(),
    })
}

fn asked() -> Said {
    let (question, answer) = ("Sign?".to_owned(), "yes".to_owned());
    Said::Asked(Asked { question, answer, by: By::Terminal })
}

fn sealed() -> Said {
    Said::Sealed(Sealed {
        key: key(),
        serial: "1".to_owned(),
        signature: vec![1; 64],
        audit: Audit { seq: 3, head: touchmark_tuf::Sha256Digest::of(b"row") },
    })
}

fn written(path: &Path, entries: &[Said]) -> Error {
    let (mut transcript, _) = match Transcript::open(path, clock) {
        Ok(opened) => opened,
        Err(refused) => return refused,
    };
    for said in entries {
        transcript.append(said).unwrap();
    }
    Error::internal("written")
}

fn earlier(path: &Path) -> (Transcript, Share, u64) {
    match Transcript::open(path, clock).unwrap() {
        (transcript, Found::Earlier(share, dropped)) => (transcript, *share, dropped),
        (_, Found::Nothing) => panic!("nothing was found"),
    }
}

#[test]
fn an_entry_with_a_field_absent_that_may_be_null_or_null_that_may_be_absent_is_none() {
    let read = |kind: &str, fields: serde_json::Value| {
        let line = Chain::default().append(clock(), kind, fields.as_object().unwrap().clone()) + "\n";
        let (entries, _) = touchmark_proto::transcript::read(&line).unwrap();
        Said::read(&entries[0]).is_some()
    };
    let device = |attested| {
        let mut fields = json!({"token": "", "token_kind": "", "serial": "", "label": "", "firmware": "", "keys": [],
            "attestation": {}});
        if let Some(attested) = attested {
            fields["attested"] = attested;
        }
        read("device", fields)
    };
    assert!(device(Some(json!("made in it"))) && device(Some(json!(null))));
    assert!(!device(None));
    assert!(read("refused", json!({"reason": "", "message": ""})));
    assert!(!read("refused", json!({"reason": "", "message": "", "repository": null})));
}

#[test]
fn every_kind_reads_back_as_it_was_meant() {
    let digest = touchmark_tuf::Sha256Digest::of(b"x");
    let signed = Said::Signed(SignedRoot {
        repository: "registry.example.com/team/app".parse().unwrap(),
        role: "root".to_owned(),
        version: 2,
        digest,
        key: key(),
        signatures: vec![WrittenSignature { keyid: key(), method: "ecdsa".to_owned(), sig: vec![9; 64] }],
        differences: vec!["valid until".to_owned()],
        audit: None,
        serial: "12".to_owned(),
    });
    let device = Said::Device(Device {
        token: "alice".to_owned(),
        token_kind: "yubikey".to_owned(),
        serial: "12".to_owned(),
        label: String::new(),
        firmware: "5.7.4".to_owned(),
        keys: vec![key()],
        attestation: [(key().to_string(), vec!["MAA=".to_owned()])].into(),
        attested: None,
    });
    let refused = Said::Refused(Refused { repository: None, reason: "X".to_owned(), message: String::new() });
    let mut chain = Chain::default();
    for said in [begun(), device, asked(), signed, refused, Said::Resumed(Resumed { dropped: 3 }), sealed()] {
        let mut reader = chain.clone();
        let line = chain.append(clock(), said.kind(), said.fields());
        assert_eq!(Said::read(&reader.push(&line).unwrap()), Some(said));
    }
    let mut more = begun().fields();
    more.insert("more".to_owned(), json!(1));
    let line = Chain::default().append(clock(), "begun", more);
    assert_eq!(Said::read(&Chain::default().push(&line).unwrap()), None);
}

#[test]
fn what_was_written_is_gone_on_with() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("t");
    written(&path, &[begun(), asked()]);
    let (mut transcript, share, dropped) = earlier(&path);
    assert_eq!((share.entries.len(), dropped, share.sealed), (2, 0, None));
    transcript.append(&sealed()).unwrap();
    drop(transcript);
    let (transcript, share, _) = earlier(&path);
    assert_eq!(share.entries.len(), 3);
    assert!(share.sealed.is_some());
    assert_eq!(share.chain().seq(), 2, "the seal is over what stands before it");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), transcript.text().unwrap());
}

#[test]
fn a_torn_last_line_goes_at_every_length() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("t");
    written(&path, &[begun(), asked()]);
    let bytes = std::fs::read(&path).unwrap();
    let first = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for at in first..bytes.len() {
        std::fs::write(&path, &bytes[..at]).unwrap();
        let (_, share, dropped) = earlier(&path);
        assert_eq!((share.entries.len(), dropped), (1, (at - first) as u64), "cut off at {at}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes[..first], "cut off at {at}");
    }
    for at in 0..first {
        std::fs::write(&path, &bytes[..at]).unwrap();
        let (_, found) = Transcript::open(&path, clock).unwrap();
        assert!(matches!(found, Found::Nothing), "cut off at {at}");
        assert_eq!(std::fs::read(&path).unwrap(), b"", "cut off at {at}");
    }
}

#[test]
fn a_file_that_is_no_transcript_stays_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("t");
    let mut chain = Chain::default();
    let other = chain.append(clock(), "merged", serde_json::Map::new()) + "\n";
    let doubled = {
        let mut chain = Chain::default();
        let first = chain.append(clock(), "begun", begun().fields());
        first.clone() + "\n" + &chain.append(clock(), "begun", begun().fields()) + "\n"
    };
    for text in ["a letter", "a letter\n", other.as_str(), doubled.as_str()] {
        std::fs::write(&path, text).unwrap();
        let refused = written(&path, &[]);
        assert_eq!(refused.reason, Reason::CeremonyInvalid, "{text}: {refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn nothing_follows_a_seal() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("t");
    written(&path, &[begun(), sealed(), asked()]);
    assert_eq!(
        Share::read(&std::fs::read_to_string(&path).unwrap()).map(drop),
        Err(ShareError::Entry(EntryError::Misplaced { seq: 2, kind: "sealed" }))
    );
}

#[test]
fn a_file_that_has_gone_or_was_replaced_is_said() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("t");
    let (mut transcript, _) = Transcript::open(&path, clock).unwrap();
    transcript.append(&begun()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let gone = transcript.append(&asked()).unwrap_err();
    assert!(gone.reason == Reason::Usage && gone.message.contains("touchmarkd keeps it"), "{gone}");
    std::fs::write(&path, "another").unwrap();
    assert!(transcript.append(&asked()).unwrap_err().message.contains("another file"));
}
