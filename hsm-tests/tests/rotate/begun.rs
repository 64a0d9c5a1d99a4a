//! Attempts that were cut off: what was signed is sent, nothing is signed twice, no key is made in vain.

use hsm_tests::signing::{connect, expiry, requests};
use serde_json::json;
use touchmark_proto::v1;
use touchmark_proto::v1::sign_request::Part;
use touchmark_proto::v1::signer_client::SignerClient;
use touchmark_tuf::{Document as _, Expires, Root, Sha256Digest, Unverified, next_root};

use super::readers::{Readers, everybody};
use super::world::{Repository, World, reason};

/// The root that the daemon goes by, as a file.
pub(crate) fn waiting_root(world: &World, repository: &Repository) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let channel = connect(world.daemon.socket()).await.unwrap();
        let request =
            v1::LastRequest { gun: repository.name.clone(), role: "root".to_owned(), ..Default::default() };
        let mut chunks = SignerClient::new(channel).last(request).await.unwrap().into_inner();
        let mut file = Vec::new();
        while let Some(chunk) = chunks.message().await.unwrap() {
            file.extend_from_slice(&chunk.data);
        }
        file
    })
}

/// Has the next root, which has a new expiry and nothing else, signed by one key alone; its digest.
pub(crate) fn begin(world: &World, repository: &Repository, key: &str, expires: Expires) -> Sha256Digest {
    let current = waiting_root(world, repository);
    let current = Unverified::<Root>::parse(&current).unwrap();
    let gun = repository.name.parse().unwrap();
    let next = next_root(&gun, current.document_unverified(), &[], expires).unwrap().write();
    let mut messages = requests(&repository.name, vec![key.to_owned()], &next, &[], None);
    let Some(Part::Open(open)) = &mut messages[0].part else { panic!("the first message opens") };
    open.documents[0].role = "root".to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let channel = connect(world.daemon.socket()).await.unwrap();
        let messages = tonic::codegen::tokio_stream::iter(messages);
        let mut events = SignerClient::new(channel).sign(messages).await.unwrap().into_inner();
        while let Some(event) = events.message().await.unwrap() {
            if let Some(v1::sign_event::Event::Signed(_)) = event.event {
                return;
            }
        }
        panic!("nothing was signed");
    });
    Sha256Digest::of(&next)
}

#[test]
fn a_root_that_was_begun_is_ended_as_it_is() {
    let world = World::new();
    let [a, b, _] = &world.keys;
    let repository = world.repository("begun", &[a, b]);
    world.rotate("root", &repository.name, &["--threshold", "2"]).ok();
    let digest = begin(&world, &repository, a, expiry());
    assert_eq!((world.shape(&repository), given(&world, &repository, "root")), ((2, 2, 2), 3));
    // Nothing of it is published while it lacks a signature, and tags are signed meanwhile.
    let nothing = world.touchmark(&["publish", &repository.name]).ok().json();
    assert_eq!(nothing["published"], json!([]));
    let mut repository = repository;
    world.sign(&mut repository, "two");
    world.rotate("root", &repository.name, &["--renew"]).ok().says("An earlier attempt began this root");
    assert_eq!((world.shape(&repository), given(&world, &repository, "root")), ((3, 2, 2), 3));
    let file = waiting_root(&world, &repository);
    assert_eq!(Sha256Digest::of(Unverified::<Root>::parse(&file).unwrap().signed_bytes()), digest);
    everybody(&world, None, &[], &repository);
}

fn given(world: &World, repository: &Repository, role: &str) -> usize {
    let shown = world.touchmark(&["ledger", "show", &repository.name]).ok().json();
    shown["entries"].as_array().unwrap().iter().filter(|entry| entry["role"] == role).count()
}

fn tagging_keys(world: &World, repository: &Repository) -> usize {
    let keys = world.home.touchmark().args(["--format", "json", "key", "ls"]).ok().json();
    let is_it = |key: &&serde_json::Value| {
        key["role"] == "targets" && key["repositories"] == json!([repository.name])
    };
    keys["keys"].as_array().unwrap().iter().filter(is_it).count()
}

#[test]
fn a_rotation_that_could_not_be_sent_is_finished_by_the_same_command_or_by_publish() {
    let world = World::new();
    let [a, b, _] = &world.keys;
    let mut repository = world.repository("cut", &[a]);
    let old = Readers::new(&world, None);
    old.believe(&world, &repository);
    let front = world.read_only();
    let cut = |what: &str, args: &[&str]| {
        let away = ["--trust-server", &front.url()];
        let ran = world.rotate(what, &repository.name, &[args, &away].concat()).run().exits(6);
        assert_eq!(reason(&ran), "TRUST_SERVER_UNREACHABLE");
        drop(ran.says("signed, but not").says(&format!("touchmark publish {}", repository.name)));
    };
    // The same command again: one rotation, one new key.
    cut("targets", &[]);
    cut("targets", &[]);
    let rotated = world.rotate("targets", &repository.name, &[]).ok().says("which was signed before");
    assert_eq!(rotated.json()["published"], json!(["root", "targets"]));
    assert_eq!(world.shape(&repository), (2, 1, 1));
    assert_eq!((given(&world, &repository, "root"), tagging_keys(&world, &repository)), (2, 2));
    everybody(&world, None, &[&old], &repository);

    // `publish`: root keys, and then nothing more to do.
    cut("root", &["--add-root", b]);
    let published = world.touchmark(&["publish", &repository.name]).ok().json();
    assert_eq!(published["published"], json!(["root"]));
    assert_eq!(world.shape(&repository), (3, 2, 1));
    let nothing = world.touchmark(&["publish", &repository.name]).ok().json();
    assert_eq!(nothing["published"], json!([]));

    // The next signature of a tag: the root goes first.
    cut("root", &["--threshold", "2"]);
    world.sign(&mut repository, "two");
    assert_eq!(world.shape(&repository), (4, 2, 2));
    // And another wish than the one that waited comes after it.
    let away = ["--trust-server", &front.url(), "--renew"];
    drop(world.rotate("root", &repository.name, &away).run().exits(6));
    world.rotate("root", &repository.name, &["--threshold", "1"]).ok();
    assert_eq!(world.shape(&repository), (6, 2, 1));
    everybody(&world, None, &[&old], &repository);
}

#[test]
fn tags_that_others_published_meanwhile_stay_when_the_waiting_root_is_sent() {
    let world = World::new();
    let mut repository = world.repository("both", &[&world.keys[0]]);
    let front = world.read_only();
    let away = ["--trust-server", &front.url()];
    // A tag that is signed and waits, then a rotation that waits too.
    world.push("both", "waits");
    let waits = format!("{}:waits", repository.name);
    drop(world.touchmark(&["--trust-server", &front.url(), "sign", &waits]).run().exits(6));
    drop(world.rotate("targets", &repository.name, &away).run().exits(6));
    world.sign(&mut repository, "two");
    assert_eq!(world.shape(&repository).0, 2);
    everybody(&world, None, &[], &repository);
    for tag in ["one", "waits", "two"] {
        world.touchmark(&["verify", &format!("{}:{tag}", repository.name)]).ok();
    }
}

#[test]
fn a_root_that_lost_its_place_says_how_to_go_on() {
    let world = World::new();
    let [a, b, _] = &world.keys;
    let repository = world.repository("race", &[a, b]);
    let front = world.read_only();
    let away = ["--trust-server", &front.url(), "--threshold", "2"];
    drop(world.rotate("root", &repository.name, &away).run().exits(6));
    let ours = waiting_root(&world, &repository);
    // Somebody else with the same keys is quicker: the daemon lets go of its version and signs another one.
    let release = |reason: &str| {
        let release = ["ledger", "release", &repository.name, "--role", "root", "--version", "2"];
        let args = [&release[..], &["--reason", reason, "--yes"]].concat();
        world.touchmark(&args)
    };
    release("the other attempt").ok();
    drop(world.rotate("root", &repository.name, &["--trust-server", &front.url(), "--renew"]).run().exits(6));
    assert_eq!(world.post(&repository, "root", &ours).status, 200);
    for command in
        [["publish", &repository.name].as_slice(), &["rotate", "root", &repository.name, "--renew", "--yes"]]
    {
        let lost = world.touchmark(command).run().exits(6);
        assert_eq!(reason(&lost), "PUBLISH_CONFLICT", "{lost}");
        drop(lost.says(&format!("touchmark ledger release {} --role root --version 2", repository.name)));
    }
    release("somebody else's is published").ok();
    world.rotate("root", &repository.name, &["--renew"]).ok();
    assert_eq!(world.shape(&repository), (3, 2, 2));
    everybody(&world, None, &[], &repository);
}
