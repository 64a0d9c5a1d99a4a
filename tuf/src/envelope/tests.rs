use super::*;
use crate::testing::{Key, World, file, tag, target};
use crate::verify::Ring;
use crate::{Targets, canonical::exact};

fn verified(bytes: &[u8], world: &World) -> Result<Verified<Targets>, VerifyError> {
    let parsed = Unverified::<Targets>::parse(bytes).unwrap();
    parsed.verify(&world.root.roles.targets, &world.root.keys, &Ring)
}

#[test]
fn a_file_keeps_what_was_served_and_what_was_signed() {
    let world = World::new();
    let bytes = world.targets_file();
    let targets = verified(&bytes, &world).unwrap();
    assert_eq!(targets.file(), bytes);
    assert_eq!(targets.signed_bytes(), world.targets.write());
    assert_eq!(targets.signers(), [world.targets_key.public.id()]);
    assert!(targets.is_go_form());
    assert!(matches!(targets.parts.signed, Signed::Inside(_)));
    assert_eq!(*targets, world.targets);
    assert_eq!(targets.into_document(), world.targets);
}

#[test]
fn the_escapes_of_the_file_are_not_signed() {
    let mut world = World::new();
    world.targets.targets.insert(tag("<a&b>\u{2028}\u{2029}\u{2030}é"), target("x"));
    let bytes = world.targets_file();
    let text = std::str::from_utf8(&bytes).unwrap();
    assert!(text.contains("\"\\u003ca\\u0026b\\u003e\\u2028\\u2029\u{2030}é\""), "{text}");
    let targets = verified(&bytes, &world).unwrap();
    assert!(matches!(targets.parts.signed, Signed::Beside(_)));
    assert_eq!(exact::<Targets>(targets.signed_bytes()).unwrap(), world.targets);
    assert!(targets.is_go_form());
}

#[test]
fn other_forms_verify_and_are_known_for_it() {
    let world = World::new();
    let text = String::from_utf8(world.targets_file()).unwrap();
    for other in
        [format!("{text}\n"), text.replacen(':', ": ", 1), text.replacen("ecdsa\",\"sig", "ECDSA\",\"sig", 1)]
    {
        assert_ne!(other, text);
        assert!(!verified(other.as_bytes(), &world).unwrap().is_go_form());
    }
}

#[test]
fn a_changed_byte_is_another_document() {
    let world = World::new();
    let text = String::from_utf8(world.targets_file()).unwrap();
    let other = text.replacen("\"length\":3", "\"length\":4", 1);
    assert_ne!(other, text);
    assert_eq!(verified(other.as_bytes(), &world).map(drop), Err(VerifyError { valid: 0, needed: 1 }));
}

#[test]
fn signatures_by_unknown_methods_are_passed_over() {
    let world = World::new();
    let text = String::from_utf8(world.targets_file()).unwrap();
    let other = text.replace("\"ecdsa\",\"sig\"", "\"lamport\",\"sig\"");
    let parsed = Unverified::<Targets>::parse(other.as_bytes()).unwrap();
    assert!(parsed.signatures().is_empty());
}

#[test]
fn a_file_needs_one_signature_of_each_signer() {
    let (world, key) = (World::new(), Key::plain(9));
    let signed = world.targets.write();
    assert_eq!(assemble(&signed, &[]), Err(AssembleError::NoSignature));
    let twice = [key.sign(&signed), key.sign(&signed)];
    assert_eq!(assemble(&signed, &twice), Err(AssembleError::DuplicateSignature(key.public.id())));
}

#[test]
fn a_file_of_bytes_that_are_not_canonical_is_not_made() {
    let signature = [Key::plain(9).sign(b"")];
    assert_eq!(assemble(b"{ }", &signature), Err(AssembleError::ReadBack));
    assert_eq!(assemble(br#"{"b":1,"a":1}"#, &signature), Err(AssembleError::ReadBack));
    // Bytes that would end the signed part early and bring their own signatures.
    assert!(assemble(br#"{},"signatures":[],"x":{}"#, &signature).is_err());
    assert!(matches!(assemble(b"{", &signature), Err(AssembleError::Document(_))));
}

#[test]
fn two_signers_of_one_document_stand_in_the_order_given() {
    let (world, [a, b]) = (World::new(), [8, 9].map(Key::plain));
    let parsed = Unverified::<Targets>::parse(&file(&world.targets, &[&b, &a])).unwrap();
    let ids: Vec<_> = parsed.signatures().iter().map(|signature| signature.key_id).collect();
    assert_eq!(ids, [b.public.id(), a.public.id()]);
}
