use super::*;
use crate::store::Store;
use crate::store::documents::{Kept, Source};
use crate::store::tests::Fixture;

fn slot(version: u64) -> Slot {
    Slot {
        gun: "r.example.com/app".parse().unwrap(),
        role: RoleName::Targets,
        version: Version::try_from(version).unwrap(),
    }
}

fn content(text: &str) -> Sha256Digest {
    Sha256Digest::of(text.as_bytes())
}

async fn reserve(store: &Store, version: u64, text: &str) -> Result<(), LedgerError> {
    let digest = content(text);
    store.write(move |tx| tx.reserve(&slot(version), &digest)).await
}

async fn release(store: &Store, version: u64, text: &str) {
    let digest = content(text);
    store.write(move |tx| tx.release(&slot(version), &digest)).await.unwrap();
}

async fn void(store: &Store, version: u64, text: &str) {
    let digest = content(text);
    store.write(move |tx| tx.void(&slot(version), &digest)).await.unwrap();
}

async fn state(store: &Store, version: u64) -> Option<State> {
    store.read(move |view| view.entry(&slot(version))).await.unwrap().map(|(_, state)| state)
}

#[tokio::test]
async fn a_released_version_is_for_its_content_alone() {
    let fixture = Fixture::new();
    let store = fixture.open();
    reserve(&store, 1, "a").await.unwrap();
    assert_eq!(state(&store, 1).await, Some(State::Reserved));
    release(&store, 1, "a").await;
    assert!(matches!(reserve(&store, 1, "b").await, Err(LedgerError::Reused { .. })));
    // The same again is fine, and stays released even where that request fails.
    reserve(&store, 1, "a").await.unwrap();
    void(&store, 1, "a").await;
    assert_eq!(state(&store, 1).await, Some(State::Released));
    assert!(matches!(reserve(&store, 1, "b").await, Err(LedgerError::Reused { .. })));
}

#[tokio::test]
async fn versions_never_go_down() {
    let fixture = Fixture::new();
    let store = fixture.open();
    reserve(&store, 5, "e").await.unwrap();
    release(&store, 5, "e").await;
    let error = reserve(&store, 4, "d").await.unwrap_err();
    assert!(matches!(error, LedgerError::Regression { have, .. } if have.get() == 5), "{error}");
    reserve(&store, 6, "f").await.unwrap();
    // Even what was signed before does not go out again once a higher version did.
    release(&store, 6, "f").await;
    assert!(matches!(reserve(&store, 5, "e").await, Err(LedgerError::Regression { .. })));
}

#[tokio::test]
async fn a_void_version_is_free_again() {
    let fixture = Fixture::new();
    let store = fixture.open();
    reserve(&store, 2, "a").await.unwrap();
    assert!(matches!(reserve(&store, 2, "b").await, Err(LedgerError::InFlight { .. })));
    void(&store, 2, "a").await;
    assert_eq!(state(&store, 2).await, Some(State::Void));
    reserve(&store, 2, "b").await.unwrap();
    // A late word about the earlier content changes nothing.
    void(&store, 2, "a").await;
    release(&store, 2, "a").await;
    assert_eq!(state(&store, 2).await, Some(State::Reserved));
}

#[tokio::test]
async fn a_version_held_twice_is_void_only_when_both_let_go() {
    let fixture = Fixture::new();
    let store = fixture.open();
    reserve(&store, 3, "a").await.unwrap();
    reserve(&store, 3, "a").await.unwrap();
    void(&store, 3, "a").await;
    assert_eq!(state(&store, 3).await, Some(State::Reserved));
    assert!(matches!(reserve(&store, 3, "b").await, Err(LedgerError::InFlight { .. })));
    void(&store, 3, "a").await;
    assert_eq!(state(&store, 3).await, Some(State::Void));
}

#[tokio::test]
async fn a_crash_between_leaves_it_released() {
    let fixture = Fixture::new();
    let store = fixture.open();
    reserve(&store, 1, "a").await.unwrap();
    store.close().await;
    let store = fixture.open();
    assert_eq!(state(&store, 1).await, Some(State::Released));
    assert!(matches!(reserve(&store, 1, "b").await, Err(LedgerError::Reused { .. })));
    reserve(&store, 1, "a").await.unwrap();
    let rows = store.read(|view| view.audit_rows(0, 10)).await.unwrap();
    assert!(rows[0].json.contains(r#""count":1,"kind":"ledger-recovered""#), "{rows:?}");
}

#[tokio::test]
async fn what_an_administrator_lets_go_is_free_and_the_document_before_it_counts_again() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for version in 1..=2 {
        let signed = format!("{version}").into_bytes();
        let digest = Sha256Digest::of(&signed);
        let kept = Kept {
            role: RoleName::Targets,
            version: slot(version).version,
            digest,
            signed,
            signatures: Vec::new(),
            source: Source::Signed,
            published: false,
            confirmed: true,
        };
        store
            .write(move |tx| {
                tx.reserve(&slot(version), &digest)?;
                tx.keep_draft(&slot(version).gun, &kept)?;
                Ok::<_, LedgerError>(tx.release(&slot(version), &digest)?)
            })
            .await
            .unwrap();
    }
    let kept = || store.read(|view| view.kept(&slot(1).gun, &RoleName::Targets));
    assert_eq!(kept().await.unwrap().map(|kept| kept.version.get()), Some(2));
    store.write(|tx| tx.let_go(&slot(2))).await.unwrap();
    assert_eq!(kept().await.unwrap().map(|kept| kept.version.get()), Some(1));
    reserve(&store, 2, "other").await.unwrap();
    assert!(matches!(store.write(|tx| tx.let_go(&slot(2))).await, Err(LedgerError::InFlight { .. })));
    assert!(matches!(store.write(|tx| tx.let_go(&slot(7))).await, Err(LedgerError::Unknown { .. })));
}

#[tokio::test]
async fn a_draft_counts_only_once_it_is_released() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let digest = content("a");
    let kept = Kept {
        role: RoleName::Targets,
        version: slot(1).version,
        digest,
        signed: b"a".to_vec(),
        signatures: Vec::new(),
        source: Source::Signed,
        published: false,
        confirmed: true,
    };
    let draft = kept.clone();
    store
        .write(move |tx| {
            tx.reserve(&slot(1), &digest)?;
            Ok::<_, LedgerError>(tx.keep_draft(&slot(1).gun, &draft)?)
        })
        .await
        .unwrap();
    let last = || store.read(|view| view.kept(&slot(1).gun, &RoleName::Targets));
    assert_eq!(last().await.unwrap(), None);
    release(&store, 1, "a").await;
    assert_eq!(last().await.unwrap(), Some(kept));
    let entries = store.read(|view| view.ledger(None, None, 10)).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].state, entries[0].confirmed), (State::Released, true));
}

#[tokio::test]
async fn the_ledger_is_read_in_pages_of_one_repository_or_of_all() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let guns: [Gun; 3] =
        ["example.com/a", "example.com/a/b", "example.com/c"].map(|gun| gun.parse().unwrap());
    let mut given = Vec::new();
    for gun in &guns {
        for role in [RoleName::Root, RoleName::Targets] {
            for version in 1..=3 {
                given.push(Slot { gun: gun.clone(), role: role.clone(), version: slot(version).version });
            }
        }
    }
    for slot in given.clone() {
        store.write(move |tx| tx.reserve(&slot, &content("a"))).await.unwrap();
    }
    for (gun, wanted) in
        [(None, &given[..]), (Some(guns[0].clone()), &given[..6]), (Some(guns[2].clone()), &given[12..])]
    {
        for most in [1, 4, 6, 100] {
            let (mut read, mut after) = (Vec::new(), None);
            loop {
                let (gun, from) = (gun.clone(), after.clone());
                let page =
                    store.read(move |view| view.ledger(gun.as_ref(), from.as_ref(), most)).await.unwrap();
                assert!(page.len() <= usize::try_from(most).unwrap());
                let Some(last) = page.last() else { break };
                after = Some(last.slot.clone());
                read.extend(page.into_iter().map(|entry| entry.slot));
            }
            assert_eq!(read, wanted, "{gun:?} by {most}");
        }
    }
}
